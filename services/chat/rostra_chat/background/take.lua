-- Makes an attempt the only one that may write a log, and returns what is in the log.
-- KEYS: the log, the newest attempt. ARGV: attempt, time to live in ms.
-- Returns nil to an attempt that is over, else the frames of each entry.
if tonumber(ARGV[1]) < tonumber(redis.call('GET', KEYS[2]) or '0') then
  return nil
end
redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
local frames = {}
for at, entry in ipairs(redis.call('XRANGE', KEYS[1], '-', '+')) do
  frames[at] = entry[2][2]
end
return frames
