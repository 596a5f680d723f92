/* test_property.c: random operations on a table and on a model in memory, which must agree after
 * each. A failure names its seed: STORE_SEED=N runs that sequence alone, STORE_SEQUENCES=N so many.
 */
#include "tests/store/support.h"

#include <time.h>

enum { FIELDS = 8, RECORDS = 200, TEXT = 24 };

struct model_value {
    bool null;
    char text[TEXT];
};

struct model_field {
    char name[24];
    enum tablestore_type type;
    struct model_value standard;
};

struct model_record {
    bool live;
    int64_t version;
    struct model_value values[FIELDS];
};

struct model {
    struct model_field fields[FIELDS];
    size_t field_count;
    int names_given;
    struct model_record records[RECORDS];
    int64_t next_id;
};

static uint64_t random_state;
static unsigned long long seed;

static unsigned chance(unsigned below)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (unsigned)(random_state >> 20) % below;
}

#define agree(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            fail_msg("seed %llu: not so: %s", seed, #condition);                                   \
    } while (0)
#define succeed(call)                                                                              \
    do {                                                                                           \
        if (!(call))                                                                               \
            fail_msg("seed %llu: %s: %s", seed, #call, error.message);                             \
    } while (0)

/* ---- Values: few different ones, so that conditions meet them ---- */

static struct model_value random_value(enum tablestore_type type)
{
    static const char *const texts[] = {"",   "a",     "b\nc", "\\",    "\\n", "\r",
                                        "zz", "aXbXc", "!",    "#dead", "-",   "\xc3\xa9"};
    struct model_value value = {.null = chance(6) == 0};
    if (value.null)
        return value;
    switch (type) {
    case TABLESTORE_INT:
        snprintf(value.text, TEXT, "%d", (int)chance(20) - 10);
        break;
    case TABLESTORE_FLOAT:
        snprintf(value.text, TEXT, "%d.%d", (int)chance(9), chance(2) == 0 ? 0 : 5);
        break;
    case TABLESTORE_BOOL:
        snprintf(value.text, TEXT, "%s", chance(2) == 0 ? "true" : "false");
        break;
    case TABLESTORE_DATE:
        snprintf(value.text, TEXT, "20%02u-0%u-1%u", chance(3), 1 + chance(9), chance(9));
        break;
    case TABLESTORE_DATETIME:
        snprintf(value.text, TEXT, "200%u-01-01T00:00:0%u", chance(9), chance(9));
        break;
    case TABLESTORE_TIME:
        snprintf(value.text, TEXT, "1%u:00:0%u", chance(9), chance(3));
        break;
    default:
        snprintf(value.text, TEXT, "%s", texts[chance(sizeof texts / sizeof *texts)]);
    }
    return value;
}

static struct tablestore_value to_value(enum tablestore_type type, const struct model_value *value)
{
    return value->null ? null_value(type) : parsed_value(type, value->text);
}

static bool same(const struct tablestore_value *found, const struct model_value *expected)
{
    char text[TABLESTORE_TEXT_SIZE];
    if (found->null || expected->null)
        return found->null == expected->null;
    if (found->type == TABLESTORE_STR || found->type == TABLESTORE_UNICODE)
        return found->text.length == strlen(expected->text) &&
               memcmp(found->text.bytes, expected->text, found->text.length) == 0;
    return strcmp(tablestore_value_format(found, text), expected->text) == 0;
}

/* ---- Comparing all of the table with the model ---- */

struct comparison {
    const struct model *model;
    int64_t seen;
};

static bool compare_record(void *context, const struct tablestore_record *record)
{
    struct comparison *comparison = context;
    const struct model *model = comparison->model;
    agree(record->id >= 0 && record->id < model->next_id);
    const struct model_record *expected = &model->records[record->id];
    agree(expected->live && expected->version == record->version);
    agree(record->count == model->field_count + 2);
    for (size_t i = 0; i < model->field_count; i++)
        agree(same(&record->values[i + 2], &expected->values[i]));
    comparison->seen++;
    return true;
}

static int64_t live_count(const struct model *model)
{
    int64_t count = 0;
    for (int64_t id = 0; id < model->next_id; id++)
        count += model->records[id].live;
    return count;
}

static void compare_all(tablestore *table, const struct model *model)
{
    struct tablestore_error error;
    struct comparison comparison = {model, 0};
    int64_t count;
    succeed(tablestore_each(table, compare_record, &comparison, &error));
    agree(comparison.seen == live_count(model));
    succeed(tablestore_count(table, NULL, &count, &error));
    agree(count == comparison.seen);
    int64_t id = model->next_id == 0 ? 0 : (int64_t)chance((unsigned)model->next_id);
    struct tablestore_record *record = tablestore_get(table, id, &error);
    agree((record != NULL) == (model->next_id > 0 && model->records[id].live));
    if (record != NULL)
        compare_record(&comparison, record);
    tablestore_record_free(record);
}

/* ---- Conditions ---- */

static int compare_values(enum tablestore_type type, const struct model_value *left,
                          const struct model_value *right)
{
    if (type == TABLESTORE_INT || type == TABLESTORE_FLOAT) {
        double a = atof(left->text), b = atof(right->text);
        return (a > b) - (a < b);
    }
    if (type == TABLESTORE_BOOL)
        return (left->text[0] == 't') - (right->text[0] == 't');
    return strcmp(left->text, right->text);
}

struct term {
    size_t field;
    int comparison; /* 6: is null */
    struct model_value constant;
};

static struct term random_term(const struct model *model)
{
    struct term term = {.field = chance((unsigned)model->field_count),
                        .comparison = (int)chance(7)};
    do
        term.constant = random_value(model->fields[term.field].type);
    while (term.constant.null);
    return term;
}

static bool term_holds(const struct model *model, const struct term *term,
                       const struct model_record *record)
{
    const struct model_value *value = &record->values[term->field];
    if (term->comparison == 6 || value->null)
        return term->comparison == 6 ? value->null : term->comparison == TABLESTORE_NOT_EQUAL;
    int order = compare_values(model->fields[term->field].type, value, &term->constant);
    const bool holds[] = {order == 0, order != 0, order<0, order <= 0, order> 0, order >= 0};
    return holds[term->comparison];
}

static tablestore_condition *term_condition(const struct model *model, const struct term *term)
{
    const char *field = model->fields[term->field].name;
    if (term->comparison == 6)
        return tablestore_is_null(field);
    return tablestore_compare(field, (enum tablestore_comparison)term->comparison,
                              term->constant.text, strlen(term->constant.text));
}

static bool note_id(void *context, const struct tablestore_record *record)
{
    bool *found = context;
    agree(!found[record->id]);
    found[record->id] = true;
    return true;
}

static void check_condition(tablestore *table, const struct model *model)
{
    struct tablestore_error error;
    struct term a = random_term(model), b = random_term(model);
    unsigned shape = chance(4);
    tablestore_condition *left = term_condition(model, &a), *right = term_condition(model, &b);
    tablestore_condition *condition = shape == 0   ? tablestore_and(left, right)
                                      : shape == 1 ? tablestore_or(left, right)
                                      : shape == 2 ? tablestore_and(tablestore_not(left), right)
                                                   : tablestore_not(tablestore_or(left, right));
    bool found[RECORDS] = {false};
    const char *const fields[] = {"__id__"};
    struct tablestore_query query = {.condition = condition, .fields = fields, .field_count = 1};
    succeed(tablestore_select(table, &query, note_id, found, &error));
    int64_t count, expected_count = 0;
    succeed(tablestore_count(table, condition, &count, &error));
    for (int64_t id = 0; id < model->next_id; id++) {
        const struct model_record *record = &model->records[id];
        bool l = term_holds(model, &a, record), r = term_holds(model, &b, record);
        bool holds = shape == 0 ? l && r : shape == 1 ? l || r : shape == 2 ? !l && r : !(l || r);
        agree(found[id] == (record->live && holds));
        expected_count += found[id];
    }
    agree(count == expected_count);
    tablestore_condition_free(condition);
}

struct sorted {
    const struct model *model;
    size_t field;
    int64_t last;
    int64_t seen;
};

static bool check_order(void *context, const struct tablestore_record *record)
{
    struct sorted *sorted = context;
    const struct model *model = sorted->model;
    if (sorted->last >= 0) {
        const struct model_value *a = &model->records[sorted->last].values[sorted->field];
        const struct model_value *b = &model->records[record->id].values[sorted->field];
        agree(a->null ||
              (!b->null && compare_values(model->fields[sorted->field].type, a, b) <= 0));
    }
    sorted->last = record->id;
    sorted->seen++;
    return true;
}

static void check_sorting(tablestore *table, const struct model *model)
{
    struct tablestore_error error;
    struct sorted sorted = {model, chance((unsigned)model->field_count), -1, 0};
    struct tablestore_order order = {model->fields[sorted.field].name, false};
    size_t limit = chance(3) == 0 ? 1 + chance(5) : 0;
    struct tablestore_query query = {.order = &order, .order_count = 1, .limit = limit};
    succeed(tablestore_select(table, &query, check_order, &sorted, &error));
    int64_t expected = live_count(model);
    agree(sorted.seen == (limit != 0 && (int64_t)limit < expected ? (int64_t)limit : expected));
}

/* ---- Operations ---- */

static size_t random_assignments(const struct model *model, struct model_value *values,
                                 struct tablestore_assignment *assignments, bool *assigned)
{
    size_t count = 0;
    for (size_t i = 0; i < model->field_count; i++) {
        assigned[i] = chance(3) == 0;
        if (!assigned[i])
            continue;
        values[i] = random_value(model->fields[i].type);
        assignments[count].field = model->fields[i].name;
        assignments[count++].value = to_value(model->fields[i].type, &values[i]);
    }
    return count;
}

static void do_insert(tablestore *table, struct model *model)
{
    struct tablestore_error error;
    struct model_value values[FIELDS];
    struct tablestore_assignment assignments[FIELDS];
    bool assigned[FIELDS] = {false};
    if (model->next_id >= RECORDS)
        return;
    size_t count = random_assignments(model, values, assignments, assigned);
    struct model_record *record = &model->records[model->next_id];
    record->live = true;
    for (size_t i = 0; i < model->field_count; i++)
        record->values[i] = assigned[i] ? values[i] : model->fields[i].standard;
    int64_t id;
    succeed(tablestore_insert(table, assignments, count, &id, &error));
    agree(id == model->next_id);
    model->next_id++;
}

static int64_t random_live(const struct model *model)
{
    for (int tries = 0; model->next_id > 0 && tries < 50; tries++) {
        int64_t id = (int64_t)chance((unsigned)model->next_id);
        if (model->records[id].live)
            return id;
    }
    return -1;
}

static void do_update(tablestore *table, struct model *model)
{
    struct tablestore_error error;
    struct model_value values[FIELDS];
    struct tablestore_assignment assignments[FIELDS];
    bool assigned[FIELDS] = {false};
    int64_t id = random_live(model);
    if (id < 0)
        return;
    struct model_record *record = &model->records[id];
    size_t count = random_assignments(model, values, assignments, assigned);
    if (chance(5) == 0) {
        agree(!tablestore_update(table, id, record->version + 1, assignments, count, &error));
        agree(error.status == TABLESTORE_CONFLICT);
        return;
    }
    succeed(tablestore_update(table, id, record->version++, assignments, count, &error));
    for (size_t i = 0; i < model->field_count; i++)
        if (assigned[i])
            record->values[i] = values[i];
}

static void do_delete(tablestore *table, struct model *model)
{
    struct tablestore_error error;
    int64_t ids[2] = {random_live(model), random_live(model)};
    if (ids[0] < 0 || ids[1] < 0)
        return;
    succeed(tablestore_delete(table, ids, 1 + chance(2), &error));
    model->records[ids[0]].live = false;
    struct tablestore_record *record = tablestore_get(table, ids[1], &error);
    model->records[ids[1]].live = record != NULL;
    tablestore_record_free(record);
}

static void do_add_field(tablestore *table, struct model *model)
{
    struct tablestore_error error;
    if (model->field_count == FIELDS)
        return;
    struct model_field added = {.type = (enum tablestore_type)chance(TABLESTORE_REFERENCE)};
    snprintf(added.name, sizeof added.name, "f%d", model->names_given++ % 12);
    size_t position = chance((unsigned)model->field_count + 1);
    for (size_t i = 0; i < model->field_count; i++)
        if (strcmp(model->fields[i].name, added.name) == 0)
            return;
    added.standard = random_value(added.type);
    struct tablestore_field field = {.name = added.name,
                                     .type = added.type,
                                     .default_value = to_value(added.type, &added.standard)};
    succeed(tablestore_add_field(table, &field,
                                 position == 0 ? NULL : model->fields[position - 1].name, &error));
    for (size_t i = model->field_count; i > position; i--)
        model->fields[i] = model->fields[i - 1];
    model->fields[position] = added;
    for (int64_t id = 0; id < model->next_id; id++) {
        struct model_value *values = model->records[id].values;
        memmove(values + position + 1, values + position,
                (model->field_count - position) * sizeof *values);
        values[position] = added.standard;
    }
    model->field_count++;
}

static void do_drop_field(tablestore *table, struct model *model)
{
    struct tablestore_error error;
    if (model->field_count < 2)
        return;
    size_t position = chance((unsigned)model->field_count);
    succeed(tablestore_drop_field(table, model->fields[position].name, &error));
    model->field_count--;
    for (size_t i = position; i < model->field_count; i++)
        model->fields[i] = model->fields[i + 1];
    for (int64_t id = 0; id < model->next_id; id++) {
        struct model_value *values = model->records[id].values;
        memmove(values + position, values + position + 1,
                (model->field_count - position) * sizeof *values);
    }
}

static void do_set_default(tablestore *table, struct model *model)
{
    struct tablestore_error error;
    struct model_field *field = &model->fields[chance((unsigned)model->field_count)];
    field->standard = random_value(field->type);
    struct tablestore_value value = to_value(field->type, &field->standard);
    succeed(tablestore_set_default(table, field->name, &value, &error));
}

static void do_one(tablestore *table, struct model *model)
{
    struct tablestore_error error;
    unsigned choice = chance(100);
    if (choice < 40)
        do_insert(table, model);
    else if (choice < 62)
        do_update(table, model);
    else if (choice < 78)
        do_delete(table, model);
    else if (choice < 84)
        do_set_default(table, model);
    else if (choice < 89)
        do_add_field(table, model);
    else if (choice < 92)
        do_drop_field(table, model);
    else if (choice < 99)
        succeed(tablestore_cleanup(table, &error));
    else
        succeed(tablestore_commit(table, &error));
}

static void run_sequence(void)
{
    struct tablestore_error error;
    static struct model model;
    model = (struct model){.field_count = 2, .names_given = 2};
    for (size_t i = 0; i < model.field_count; i++) {
        model.fields[i] = (struct model_field){.type = i == 0 ? TABLESTORE_STR : TABLESTORE_INT,
                                               .standard = {.null = true}};
        snprintf(model.fields[i].name, sizeof model.fields[i].name, "f%zu", i);
    }
    const struct tablestore_field fields[] = {
        {.name = "f0", .type = TABLESTORE_STR, .default_value = {.null = true}},
        {.name = "f1", .type = TABLESTORE_INT, .default_value = {.null = true}}};
    random_state = seed * 2654435761ULL + 88172645463325252ULL;
    succeed(tablestore_create("t", fields, 2, &error));
    tablestore *table = tablestore_open("t", TABLESTORE_WRITE, &error);
    for (unsigned steps = 5 + chance(40); steps > 0; steps--) {
        succeed(table != NULL);
        do_one(table, &model);
        compare_all(table, &model);
        check_condition(table, &model);
        check_sorting(table, &model);
        if (count_findings("t") != 0) {
            fprintf(stderr, "seed %llu:\n", seed);
            assert_sound("t");
        }
        if (chance(4) == 0) {
            tablestore_close(table);
            table = tablestore_open("t", TABLESTORE_WRITE, &error);
        }
    }
    tablestore_close(table);
    /* Files of dropped fields stay behind by design. */
    assert_int_equal(system("rm -r t"), 0);
}

static void test_sequences(void **state)
{
    (void)state;
    const char *one = getenv("STORE_SEED"), *many = getenv("STORE_SEQUENCES");
    unsigned long long count = many != NULL ? strtoull(many, NULL, 10) : 2000;
    unsigned long long first =
        one != NULL ? strtoull(one, NULL, 10) : (unsigned long long)time(NULL);
    printf("seeds from %llu on, %llu sequences\n", first, one != NULL ? 1 : count);
    for (seed = first; seed < first + (one != NULL ? 1 : count); seed++)
        run_sequence();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_sequences, enter_directory, leave_directory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
