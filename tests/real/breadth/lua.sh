# Lua: a table written beside and renamed into place
needs='lua5.4'
right='process'
refused='session'
prepare()
{
    script store.lua <<'LUA'
local path, act, name = arg[1], arg[2], arg[3]
local items = {}
for line in io.lines(path) do
    if act ~= 'delete' or line ~= name then items[#items + 1] = line end
end
if act == 'insert' then items[#items + 1] = name end
local beside = os.tmpname() -- only for its name: the file itself lies in the table
os.remove(beside)
beside = path .. beside:match('[^/]*$')
local out = assert(io.open(beside, 'w'))
out:write(table.concat(items, '\n'), '\n')
out:close()
assert(os.rename(beside, path))
LUA
}
setup()
{
    old_names >"$TABLE/items"
}
insert()
{
    run lua5.4 "$WORK/store.lua" "$TABLE/items" insert "$1"
}
delete()
{
    run lua5.4 "$WORK/store.lua" "$TABLE/items" delete "$1"
}
list()
{
    cat "$TABLE/items"
}
