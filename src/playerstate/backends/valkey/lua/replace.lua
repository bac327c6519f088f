-- Writes views whatever is stored, and tells watchers.
--
-- KEYS[i]                  the hash of the i-th view's player; the same one may come many times
-- ARGV[3i-2 .. 3i]         the i-th view's state key, version, value
-- returns                  a letter a view, as put.lua does: each is written

for i = 1, #KEYS do
  local at = 3 * i
  write(KEYS[i], ARGV[at - 2], ARGV[at - 1], ARGV[at])
end
return string.rep('w', #KEYS)
