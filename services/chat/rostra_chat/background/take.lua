-- Makes an attempt the only one that may write a log, and returns what is in the log.
-- KEYS: the log, the newest attempt. ARGV: attempt, time to live in ms; then, to begin a log that is empty, the length
-- that this brings it to, and the frames.
-- Returns nil to an attempt that is over, else the frames of each entry.
if tonumber(ARGV[1]) < tonumber(redis.call('GET', KEYS[2]) or '0') then
  return nil
end
redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
local frames = {}
for at, entry in ipairs(redis.call('XRANGE', KEYS[1], '-', '+')) do
  frames[at] = entry[2][2]
end
if #frames == 0 and ARGV[3] then
  redis.call('XADD', KEYS[1], ARGV[3] .. '-0', 'f', ARGV[4], 'e', '0')
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
  frames[1] = ARGV[4]
end
return frames
