-- The fence of one slot, lifted to a generation.
-- KEYS: the fence. ARGV: generation.
local held = redis.call('GET', KEYS[1])
if not held or tonumber(string.sub(held, 1, 12), 16) < tonumber(ARGV[1], 16) then
    redis.call('SET', KEYS[1], ARGV[1] .. ':')
end
return 0
