# Node's nedb: loaded and compacted when it is opened, then appended to
needs='node'
slow=yes
right='process'
available()
{
    test -d "$BUILD/npm/node_modules/@seald-io/nedb"
}
prepare()
{
    ln -s "$BUILD/npm/node_modules" "$WORK/node_modules"
    script store.mjs <<'NODE'
import Datastore from '@seald-io/nedb'
const [path, act, name] = process.argv.slice(2)
const db = new Datastore({ filename: path })
await db.loadDatabaseAsync()
if (act === 'insert') {
    await db.insertAsync({ name })
} else if (act === 'delete') {
    if (await db.removeAsync({ name }, {}) !== 1) throw new Error('no such item: ' + name)
} else {
    for (const item of await db.findAsync({})) console.log(item.name)
}
NODE
}
setup()
{
    old_names | sed 's/.*/{"name":"&","_id":"id&"}/' >"$TABLE/items.db"
}
insert()
{
    run node "$WORK/store.mjs" "$TABLE/items.db" insert "$1"
}
delete()
{
    run node "$WORK/store.mjs" "$TABLE/items.db" delete "$1"
}
list()
{
    node "$WORK/store.mjs" "$TABLE/items.db" list
}
