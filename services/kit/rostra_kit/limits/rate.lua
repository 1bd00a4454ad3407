-- A rate: GCRA whose burst is the limit. One string holds the theoretical arrival time (TAT): the moment at which the
-- limit is full again.
--
-- The backlog is what is used and not yet regained. It is counted in 1/limit of a microsecond, in which a unit of cost
-- is exactly period_us and the whole limit exactly limit * period_us, so N claims of 1 fill a limit of N without a
-- rounding error. That is exact while limit * period_us < 2^53: 150 million a minute. The TAT is therefore stored as
-- whole microseconds and a rest.

local rate = { key_count = 1 }
kinds.rate = rate

function rate:load()
  local tat, rest = string.match(redis.call('GET', self.key) or '', '^(%d+) (%d+)$')
  self.backlog = 0
  if tat and self.limit > 0 then
    self.backlog = math.max(0, (tonumber(tat) - now_us) * self.limit + tonumber(rest))
  end
  return true
end

function rate:store(backlog)
  self.backlog = math.max(0, backlog)
  if self.backlog == 0 then
    redis.call('DEL', self.key)
    return
  end
  local rest = math.fmod(self.backlog, self.limit)
  local left_us = (self.backlog - rest) / self.limit
  local tat = integer(now_us + left_us) .. ' ' .. integer(rest)
  redis.call('SET', self.key, tat, 'PX', integer(math.floor(left_us / 1000) + 1))
end

function rate:wait_us()
  if self.cost == 0 then
    return 0
  end
  if self.cost > self.limit then
    return NEVER
  end
  local excess = self.backlog + (self.cost - self.limit) * self.period_us
  return math.max(0, math.ceil(excess / self.limit))
end

function rate:take()
  if self.cost > 0 then
    self:store(self.backlog + self.cost * self.period_us)
  end
end

function rate:remaining()
  return math.max(0, math.floor((self.limit * self.period_us - self.backlog) / self.period_us))
end

function rate:reset_us()
  if self.backlog == 0 then
    return 0
  end
  return math.ceil(self.backlog / self.limit)
end

-- A reservation that is not on record took nothing that is known of, so nothing is given back.
function rate:settle(was_open)
  if was_open and self.limit > 0 and self.actual and self.actual ~= self.cost then
    self:load()
    self:store(self.backlog + (self.actual - self.cost) * self.period_us)
  end
end

function rate:renew()
  return true
end
