/* select.c: finding records by a scan over the files of the fields that matter.
 * It must never read the file of a field that is neither asked about nor asked for. */
#include "store/condition.h"
#include "store/scan.h"
#include "store/table.h"

#include <stdlib.h>

/* One match that waits to be sorted. */
struct match {
    struct tablestore_record *record;
    unsigned char *keys;     /* the blocks to sort by, one after the other */
    const struct scan *scan; /* for the comparison */
    size_t number;           /* of the match: the order among equals */
};

struct scan {
    tablestore *table;
    struct bound_condition *condition;
    struct column *columns; /* a column for each field; opened on first use */
    size_t *fields;         /* asked for */
    size_t field_count;
    size_t *order_fields;
    const struct tablestore_order *order;
    size_t order_count;
    size_t limit;
    struct block *blocks;
    struct bytes scratch;
    int64_t row;
    struct match *matches;
    size_t match_count, match_capacity;
    struct tablestore_error *error;
};

static struct column *get_column(struct scan *scan, size_t field)
{
    struct column *column = &scan->columns[field];
    if (column->buffer == NULL &&
        !column_open(column, scan->table->files[field], table_field_name(scan->table, field),
                     schema_type(&scan->table->schema, field), scan->error))
        return NULL;
    return column;
}

/* The block of the row at hand. A row that is dead in one file but not in another is damage. */
static bool fetch(void *context, size_t field, struct block *block)
{
    struct scan *scan = context;
    struct column *column = get_column(scan, field);
    if (column == NULL || !column_at(column, scan->row, block, scan->error))
        return false;
    if (block->bytes[0] == FLAG_VALUE || block->bytes[0] == FLAG_NULL)
        return true;
    return failure(scan->error, TABLESTORE_DAMAGED, column->name,
                   column->offset - (int64_t)block->length,
                   block->bytes[0] == FLAG_DEAD ? "row %lld is dead here, but live in another file"
                                                : "row %lld is neither value, null nor dead",
                   (long long)scan->row);
}

/* ---- Setting up ---- */

static void scan_free(struct scan *scan)
{
    for (size_t i = 0; scan->columns != NULL && i < scan->table->schema.count; i++)
        column_free(&scan->columns[i]);
    for (size_t i = 0; i < scan->match_count; i++) {
        free(scan->matches[i].record);
        free(scan->matches[i].keys);
    }
    free(scan->matches);
    free(scan->columns);
    free(scan->fields);
    free(scan->order_fields);
    free(scan->blocks);
    bytes_free(&scan->scratch);
    bound_condition_free(scan->condition);
}

static bool resolve_fields(struct scan *scan, const struct tablestore_query *query)
{
    const struct schema *schema = &scan->table->schema;
    bool all = query->fields == NULL;
    scan->field_count = all ? schema->count : query->field_count;
    scan->fields = calloc(scan->field_count + 1, sizeof *scan->fields);
    scan->blocks = calloc(scan->field_count + 1, sizeof *scan->blocks);
    scan->order_count = query->order == NULL ? 0 : query->order_count;
    scan->order = query->order;
    scan->order_fields = calloc(scan->order_count + 1, sizeof *scan->order_fields);
    if (scan->fields == NULL || scan->blocks == NULL || scan->order_fields == NULL)
        return memory_failure(scan->error);
    for (size_t i = 0; i < scan->field_count; i++) {
        scan->fields[i] = i;
        if (!all && !schema_require(schema, query->fields[i], &scan->fields[i], scan->error))
            return false;
    }
    for (size_t i = 0; i < scan->order_count; i++)
        if (!schema_require(schema, query->order[i].field, &scan->order_fields[i], scan->error))
            return false;
    return true;
}

static bool scan_start(struct scan *scan, const struct tablestore_query *query)
{
    static const struct tablestore_query everything;
    if (query == NULL)
        query = &everything;
    scan->limit = query->limit == 0 ? SIZE_MAX : query->limit;
    scan->columns = calloc(scan->table->schema.count, sizeof *scan->columns);
    if (scan->columns == NULL)
        return memory_failure(scan->error);
    if (query->condition != NULL) {
        scan->condition = condition_bind(query->condition, &scan->table->schema, scan->error);
        if (scan->condition == NULL)
            return false;
    }
    return resolve_fields(scan, query);
}

/* ---- Matches ---- */

static struct tablestore_record *make_record(struct scan *scan)
{
    for (size_t i = 0; i < scan->field_count; i++)
        if (!fetch(scan, scan->fields[i], &scan->blocks[i]))
            return NULL;
    return record_make(&scan->table->schema, scan->fields, scan->field_count, scan->blocks,
                       scan->row, scan->error);
}

/* Keeps a match, with the blocks that it is sorted by, until all are there. */
static bool keep(struct scan *scan, struct tablestore_record *record)
{
    if (scan->match_count == scan->match_capacity) {
        size_t capacity = scan->match_capacity * 2 + 64;
        struct match *matches = realloc(scan->matches, capacity * sizeof *matches);
        if (matches == NULL)
            return memory_failure(scan->error);
        scan->matches = matches;
        scan->match_capacity = capacity;
    }
    struct bytes keys = {0};
    for (size_t i = 0; i < scan->order_count; i++) {
        struct block block;
        if (!fetch(scan, scan->order_fields[i], &block)) {
            bytes_free(&keys);
            return false;
        }
        if (!bytes_append(&keys, &block.length, sizeof block.length) ||
            !bytes_append(&keys, block.bytes, block.length)) {
            bytes_free(&keys);
            return memory_failure(scan->error);
        }
    }
    scan->matches[scan->match_count] = (struct match){record, keys.data, scan, scan->match_count};
    scan->match_count++;
    return true;
}

static struct block next_key(const unsigned char **keys)
{
    struct block block;
    memcpy(&block.length, *keys, sizeof block.length);
    block.bytes = *keys + sizeof block.length;
    *keys = block.bytes + block.length;
    return block;
}

static int compare_matches(const void *left, const void *right)
{
    const struct match *a = left, *b = right;
    const struct scan *scan = a->scan;
    const unsigned char *keys_a = a->keys, *keys_b = b->keys;
    for (size_t i = 0; i < scan->order_count; i++) {
        enum tablestore_type type = scan->table->schema.fields[scan->order_fields[i]].type;
        int order = block_compare(type, next_key(&keys_a), next_key(&keys_b));
        if (order != 0)
            return scan->order[i].descending ? -order : order;
    }
    return (a->number > b->number) - (a->number < b->number);
}

static void visit_sorted(struct scan *scan, tablestore_visit *visit, void *context)
{
    if (scan->match_count > 1)
        qsort(scan->matches, scan->match_count, sizeof *scan->matches, compare_matches);
    for (size_t i = 0; i < scan->match_count && i < scan->limit; i++)
        if (!visit(context, scan->matches[i].record))
            break;
}

/* ---- The scan itself ---- */

/* 1 when the row at hand is live and fulfils the condition, 0 when not, -1 on failure. */
static int judge(struct scan *scan)
{
    if (scan->condition == NULL)
        return 1;
    int verdict = condition_evaluate(scan->condition, fetch, scan, &scan->scratch);
    if (verdict == -2)
        record_failure(scan->error, TABLESTORE_DAMAGED, NULL, -1,
                       "row %lld holds a text that cannot be read: verify tells where",
                       (long long)scan->row);
    return verdict;
}

/* Calls found for each match until it returns 0 (stop) or -1 (failure). The row's flag is taken
 * from the first field of the condition, because deleting flags the blocks of all fields. */
static bool scan_rows(struct scan *scan, int (*found)(struct scan *scan, void *context),
                      void *context)
{
    size_t lead = condition_first_field(scan->condition, scan->table->schema.count);
    if (lead == scan->table->schema.count)
        lead = FIELD_ID;
    struct column *column = get_column(scan, lead);
    struct block block;
    int going = 1;
    if (column == NULL)
        return false;
    for (scan->row = 0; going > 0 && !column_at_end(column); scan->row++) {
        if (!column_next(column, &block, scan->error))
            return false;
        if (block.bytes[0] == FLAG_DEAD)
            continue;
        int verdict = judge(scan);
        if (verdict < 0)
            return false;
        if (verdict > 0)
            going = found(scan, context);
    }
    return going >= 0;
}

struct visitor {
    tablestore_visit *visit;
    void *context;
    size_t visited;
};

static int found_record(struct scan *scan, void *context)
{
    struct visitor *visitor = context;
    struct tablestore_record *record = make_record(scan);
    if (record == NULL)
        return -1;
    if (scan->order_count > 0) {
        if (keep(scan, record))
            return 1;
        free(record);
        return -1;
    }
    bool more = visitor->visit(visitor->context, record);
    free(record);
    return more && ++visitor->visited < scan->limit;
}

bool tablestore_select(tablestore *table, const struct tablestore_query *query,
                       tablestore_visit *visit, void *context, struct tablestore_error *error)
{
    if (!table_refresh(table, error))
        return false;
    struct scan scan = {.table = table, .error = error};
    struct visitor visitor = {visit, context, 0};
    bool done = scan_start(&scan, query) && scan_rows(&scan, found_record, &visitor);
    if (done && scan.order_count > 0)
        visit_sorted(&scan, visit, context);
    scan_free(&scan);
    return done;
}

bool tablestore_each(tablestore *table, tablestore_visit *visit, void *context,
                     struct tablestore_error *error)
{
    return tablestore_select(table, NULL, visit, context, error);
}

static int found_one(struct scan *scan, void *context)
{
    (void)scan;
    (*(int64_t *)context)++;
    return 1;
}

bool tablestore_count(tablestore *table, const tablestore_condition *condition, int64_t *count,
                      struct tablestore_error *error)
{
    *count = 0;
    if (condition == NULL) {
        struct tablestore_summary summary;
        if (!tablestore_summarize(table, &summary, error))
            return false;
        *count = summary.records;
        return true;
    }
    if (!table_refresh(table, error))
        return false;
    static const char *const no_fields[] = {NULL};
    struct tablestore_query query = {.condition = condition, .fields = no_fields};
    struct scan scan = {.table = table, .error = error};
    bool done = scan_start(&scan, &query) && scan_rows(&scan, found_one, count);
    scan_free(&scan);
    return done;
}
