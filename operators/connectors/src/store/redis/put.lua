-- Rows of one slot, written unless another run of the job has taken over or a newer version is there.
-- KEYS: the fence; of each row its key and where it is remembered once it is deleted.
-- ARGV: generation; version; how long deletes are remembered, ms; and of rows that are alike, in the order of
-- the keys: how many they are, and `d` for deletes. Of others their time to live (0: as it is), the numbers of
-- fields that are set, that go and that have a time to live, their names and times, and then row by row the values.
local generation, version, remembered = ARGV[1], ARGV[2], ARGV[3]
local call, sub, min, unpack = redis.call, string.sub, math.min, unpack
local order, owner = sub(version, 1, -9), sub(version, -8)
-- Generation, epoch and sequence by number: texts are compared as the server's language has it.
local function is_newer(one, other)
    for _, digits in ipairs({ { 1, 12 }, { 13, 22 }, { 23, 34 } }) do
        local of, to = sub(one, digits[1], digits[2]), sub(other, digits[1], digits[2])
        if of ~= to then
            return tonumber(of, 16) > tonumber(to, 16)
        end
    end
    return false
end
-- Behind the generation of the fence, and a colon, is the newest that was written of its run: nothing where a run
-- has just raised it, `?` where that is not known, for the fence was lost. One without a colon is of a version of
-- nowcast that did not keep it.
local fence = call('GET', KEYS[1])
local held = fence and sub(fence, 1, 12)
if held and tonumber(held, 16) > tonumber(generation, 16) then
    return redis.error_reply('FENCED by ' .. held)
end
local newest = held == generation and sub(fence, 13) or '?'
local known = newest ~= '' and newest ~= '?' and newest ~= ':?'
local newer = known and (newest == ':' or not is_newer(generation .. sub(newest, 2), order))
if newer then
    call('SET', KEYS[1], generation .. ':' .. sub(order, 13))
elseif newest == '?' then
    call('SET', KEYS[1], generation .. ':?')
end
local passed = 0
local function stays(row, gone)
    if newer then
        return true
    end
    local held = call('HGET', row, '~v') or call('GET', gone)
    if held and sub(held, -8) == owner and is_newer(sub(held, 1, -9), order) then
        passed = passed + 1
        return false
    end
    return true
end
-- Lua takes so many arguments at once.
local most = 2000
local at, key = 4, 2
while at <= #ARGV do
    local rows, ttl = tonumber(ARGV[at]), ARGV[at + 1]
    local last = key + 2 * rows - 2
    if ttl == 'd' then
        at = at + 2
        for i = key, last, 2 do
            if stays(KEYS[i], KEYS[i + 1]) then
                call('DEL', KEYS[i])
                call('SET', KEYS[i + 1], version, 'PX', remembered)
            end
        end
    else
        local names = at + 5
        local go = names + ARGV[at + 2]
        local time = go + ARGV[at + 3]
        local values = time + 2 * ARGV[at + 4]
        -- The fields of one call, where the row and the values are still missing. The version goes with the first:
        -- a call costs more than what it carries.
        local sets = {}
        for from = names, math.max(names, go - 1), most do
            local set = from == names and { false, '~v', version } or { false }
            for name = from, min(from + most, go) - 1 do
                set[#set + 1], set[#set + 2] = ARGV[name], false
            end
            sets[#sets + 1] = { set, from == names and 5 or 3, #set }
        end
        at = values
        for i = key, last, 2 do
            local row = KEYS[i]
            if stays(row, KEYS[i + 1]) then
                local value = at
                for _, fill in ipairs(sets) do
                    local set = fill[1]
                    set[1] = row
                    for place = fill[2], fill[3], 2 do
                        set[place] = ARGV[value]
                        value = value + 1
                    end
                    call('HSET', unpack(set, 1, fill[3]))
                end
                for from = go, time - 1, most do
                    call('HDEL', row, unpack(ARGV, from, min(from + most, time) - 1))
                end
                if ttl ~= '0' then
                    call('PEXPIRE', row, ttl)
                end
                for field = time, values - 1, 2 do
                    call('HPEXPIRE', row, ARGV[field + 1], 'FIELDS', 1, ARGV[field])
                end
            end
            at = at + go - names
        end
    end
    key = last + 2
end
return passed
