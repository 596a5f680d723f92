# Ruby's PStore: it flocks the very file that holds its data
needs='ruby'
right='process session'
locks=yes
prepare()
{
    script store.rb <<'RUBY'
require 'pstore'
path, act, name = ARGV
store = PStore.new(path)
case act
when 'make' then store.transaction { STDIN.each_line { |line| store[line.chomp] = 1 } }
when 'insert' then store.transaction { store[name] = 1 }
when 'delete' then store.transaction { store.delete(name) or abort 'no such item' }
when 'list' then store.transaction(true) { puts store.roots }
end
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
