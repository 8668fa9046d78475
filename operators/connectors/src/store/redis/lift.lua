-- The fence of one slot, lifted to a generation.
-- KEYS: the fence. ARGV: generation.
local held = redis.call('GET', KEYS[1])
if not held or held < ARGV[1] then
    redis.call('SET', KEYS[1], ARGV[1])
end
return 0
