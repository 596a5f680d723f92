# Ruby: a marshalled hash, read whole and written whole
needs='ruby'
slow=yes
right='process'
refused='session'
prepare()
{
    script store.rb <<'RUBY'
path, act, name = ARGV
items = act == 'make' ? {} : Marshal.load(File.binread(path))
case act
when 'make' then STDIN.each_line { |line| items[line.chomp] = 1 }
when 'insert' then items[name] = 1
when 'delete' then items.delete(name) or abort 'no such item'
when 'list' then puts items.keys
end
File.binwrite(path, Marshal.dump(items)) unless act == 'list'
RUBY
}
setup()
{
    old_names | ruby "$WORK/store.rb" "$TABLE/items" make
}
insert()
{
    run ruby "$WORK/store.rb" "$TABLE/items" insert "$1"
}
delete()
{
    run ruby "$WORK/store.rb" "$TABLE/items" delete "$1"
}
list()
{
    ruby "$WORK/store.rb" "$TABLE/items" list
}
