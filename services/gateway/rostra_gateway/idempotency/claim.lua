-- Claims a key for a request, or holds it for another while, unless another request has it.
-- KEYS: the record. ARGV: the request's fingerprint, who claims, and for how long, in ms.
-- Returns 'claimed', 'running' when another request has it, 'reused' when it was for something else, or 'done' and the
-- answer.
local record = redis.call('HMGET', KEYS[1], 'fingerprint', 'owner', 'answer')
if record[1] and record[1] ~= ARGV[1] then
  return {'reused'}
end
if record[3] then
  return {'done', record[3]}
end
if record[2] and record[2] ~= ARGV[2] then
  return {'running'}
end
redis.call('HSET', KEYS[1], 'fingerprint', ARGV[1], 'owner', ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return {'claimed'}
