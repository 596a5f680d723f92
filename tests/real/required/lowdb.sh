# Node's lowdb: a JSON file, read whole, written beside and renamed into place
needs='node jq'
right='process'
available()
{
    test -d "$BUILD/npm/node_modules/lowdb"
}
prepare()
{
    ln -s "$BUILD/npm/node_modules" "$WORK/node_modules"
    script store.mjs <<'NODE'
import { JSONFilePreset } from 'lowdb/node'
const [path, act, name] = process.argv.slice(2)
const db = await JSONFilePreset(path, { items: [] })
if (act === 'insert') {
    db.data.items.push({ name })
} else {
    const at = db.data.items.findIndex(item => item.name === name)
    if (at < 0) throw new Error('no such item: ' + name)
    db.data.items.splice(at, 1)
}
await db.write()
NODE
}
setup()
{
    old_names | jq -R '{name: .}' | jq -s '{items: .}' >"$TABLE/db.json"
}
insert()
{
    run node "$WORK/store.mjs" "$TABLE/db.json" insert "$1"
}
delete()
{
    run node "$WORK/store.mjs" "$TABLE/db.json" delete "$1"
}
list()
{
    node -p 'JSON.parse(fs.readFileSync(process.argv[1])).items.map(i => i.name).join("\n")' \
        "$TABLE/db.json"
}
