-- Close the reservation: bring rates and budgets to their actual costs and free the slots. Replies {'settled'}, or
-- {'closed'} when that was done before, in which case nothing changes.

local record = redis.call('GET', record_key)
if record == CLOSED then
  return { 'closed' }
end
redis.call('SET', record_key, CLOSED, 'PX', integer(RECORD_MS))

for _, claim in ipairs(read_claims()) do
  claim:settle(record == OPEN)
end
return { 'settled' }
