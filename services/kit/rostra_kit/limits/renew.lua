-- Hold slots and budgets for another hold_ms. Replies {'renewed'}, or {'lapsed'} when the reservation is closed or
-- forgotten, or a slot of it has come free meanwhile.

if redis.call('GET', record_key) ~= OPEN then
  return { 'lapsed' }
end

local renewed = true
for _, claim in ipairs(read_claims()) do
  renewed = claim:renew() and renewed
end
redis.call('PEXPIRE', record_key, integer(hold_ms + RECORD_MS))
return { renewed and 'renewed' or 'lapsed' }
