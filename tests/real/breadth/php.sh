# PHP: a JSON file by file_get_contents and file_put_contents
needs='php jq'
right='process'
refused='session'
prepare()
{
    script store.php <<'PHP'
<?php
[, $path, $act, $name] = $argv;
$items = json_decode(file_get_contents($path), true);
if (!is_array($items)) exit(1);
if ($act == 'insert') $items[$name] = 1; else unset($items[$name]);
if (file_put_contents($path, json_encode($items)) === false) exit(1);
PHP
}
setup()
{
    old_names | jq -R '{(.): 1}' | jq -s add >"$TABLE/db.json"
}
insert()
{
    run php "$WORK/store.php" "$TABLE/db.json" insert "$1"
}
delete()
{
    run php "$WORK/store.php" "$TABLE/db.json" delete "$1"
}
list()
{
    jq -r 'keys[]' "$TABLE/db.json"
}
