# rrdtool: adds a data source to a round-robin database, which is written anew
needs='rrdtool'
right='process'
size=10
setup()
{
    local name arguments=()
    for name in $(old_names); do
        arguments+=("DS:$name:GAUGE:600:U:U")
    done
    rrdtool create "$TABLE/data.rrd" --step 300 "${arguments[@]}" RRA:AVERAGE:0.5:1:100
}
insert()
{
    run rrdtool tune "$TABLE/data.rrd" "DS:$1:GAUGE:600:U:U"
}
list()
{
    rrdtool info "$TABLE/data.rrd" | sed -n 's/^ds\[\(.*\)\].index.*/\1/p'
}
