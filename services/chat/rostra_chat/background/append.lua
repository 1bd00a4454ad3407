-- Appends to the event log of a response, unless a newer attempt writes it, or it is not as long as the writer believes.
-- KEYS: the log, the newest attempt. ARGV: attempt, expected length, time to live in ms, then for each entry the length
-- that it brings the log to, its frames, and 1 if it is the last one, else 0.
-- Returns the log's length in events, or -1 to a writer whose attempt is over.
if tonumber(ARGV[1]) < tonumber(redis.call('GET', KEYS[2]) or '0') then
  return -1
end
local newest = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)
local length = 0
if #newest > 0 then
  length = tonumber(string.match(newest[1][1], '^%d+'))
end
if length ~= tonumber(ARGV[2]) then
  return length
end
for at = 4, #ARGV, 3 do
  length = tonumber(ARGV[at])
  redis.call('XADD', KEYS[1], ARGV[at] .. '-0', 'f', ARGV[at + 1], 'e', ARGV[at + 2])
end
redis.call('PEXPIRE', KEYS[1], ARGV[3])
redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[3])
return length
