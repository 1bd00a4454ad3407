-- Ends a request's hold on its key, unless another request has it by now.
-- KEYS: the record. ARGV: who claimed it; and to keep an answer its fingerprint, for how long in ms, and the answer.
-- Without these the key is free again.
local record = redis.call('HMGET', KEYS[1], 'owner', 'answer')
if record[2] or (record[1] and record[1] ~= ARGV[1]) then
  return 0
end
if #ARGV == 1 then
  return redis.call('DEL', KEYS[1])
end
redis.call('HDEL', KEYS[1], 'owner')
redis.call('HSET', KEYS[1], 'fingerprint', ARGV[2], 'answer', ARGV[4])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1
