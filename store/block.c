/* block.c: encoding and decoding of blocks, type by type, and the table of types.
 * It must never look beyond the bytes it was given, whatever they are. */
#include "store/block.h"

#include <bsd/string.h>
#include <endian.h>
#include <math.h>
#include <stdio.h>
#include <unistr.h>

/* ---- Integers ---- */

void int32_write(unsigned char bytes[4], int32_t value)
{
    uint32_t big = htobe32((uint32_t)value);
    memcpy(bytes, &big, sizeof big);
}

int32_t int32_read(const unsigned char *bytes)
{
    uint32_t big;
    memcpy(&big, bytes, sizeof big);
    return (int32_t)be32toh(big);
}

void int_block_write(unsigned char block[INT_BLOCK_LENGTH], int64_t value)
{
    block[0] = FLAG_VALUE;
    int32_write(block + 1, (int32_t)(value + INT_BLOCK_BIAS));
}

int64_t int_block_read(const unsigned char *block)
{
    return (int64_t)int32_read(block + 1) - INT_BLOCK_BIAS;
}

static bool encode_int(const struct tablestore_value *value, struct bytes *to)
{
    unsigned char block[INT_BLOCK_LENGTH];
    int_block_write(block, value->integer);
    return bytes_append(to, block, sizeof block);
}

static const char *decode_int(const unsigned char *body, size_t length,
                              struct tablestore_value *value, char *room)
{
    (void)length, (void)room;
    value->integer = (int64_t)int32_read(body) - INT_BLOCK_BIAS;
    return NULL;
}

static bool encode_reference(const struct tablestore_value *value, struct bytes *to)
{
    unsigned char block[INT_BLOCK_LENGTH] = {FLAG_VALUE};
    int32_write(block + 1, (int32_t)value->integer);
    return bytes_append(to, block, sizeof block);
}

static const char *decode_reference(const unsigned char *body, size_t length,
                                    struct tablestore_value *value, char *room)
{
    (void)length, (void)room;
    value->integer = int32_read(body);
    return value->integer < 0 ? "a reference to a negative id" : NULL;
}

static bool encode_bool(const struct tablestore_value *value, struct bytes *to)
{
    return bytes_append(to, value->boolean ? "-1" : "-0", 2);
}

static const char *decode_bool(const unsigned char *body, size_t length,
                               struct tablestore_value *value, char *room)
{
    (void)length, (void)room;
    value->boolean = body[0] == '1';
    return body[0] == '0' || body[0] == '1' ? NULL : "neither true nor false";
}

/* ---- Floats: two exponent bytes, then a mantissa without its first byte, which is always 0x3f;
 * negative ones shifted by 1.1, so that the order of bytes is the order of values. ---- */

enum { POSITIVE_EXPONENT = 49152, NEGATIVE_EXPONENT = 16384, ZERO_MARK = 0x80, DOUBLE_HEAD = 0x3f };
static const double negative_shift = 1.1;

static bool encode_float(const struct tablestore_value *value, struct bytes *to)
{
    unsigned char block[10] = {FLAG_VALUE, ZERO_MARK};
    if (value->real != 0) {
        int exponent;
        double mantissa = frexp(value->real, &exponent);
        int field = mantissa > 0 ? POSITIVE_EXPONENT + exponent : NEGATIVE_EXPONENT - exponent;
        if (mantissa < 0)
            mantissa += negative_shift;
        uint64_t bits;
        memcpy(&bits, &mantissa, sizeof bits);
        bits = htobe64(bits);
        /* The head of the double goes where the second exponent byte is written next. */
        memcpy(block + 2, &bits, sizeof bits);
        block[1] = (unsigned char)(field >> 8);
        block[2] = (unsigned char)field;
    }
    return bytes_append(to, block, sizeof block);
}

static const char *decode_float(const unsigned char *body, size_t length,
                                struct tablestore_value *value, char *room)
{
    (void)length, (void)room;
    value->real = 0;
    if (body[0] == ZERO_MARK)
        return NULL;
    uint64_t bits;
    memcpy(&bits, body + 1, sizeof bits);
    bits = (be64toh(bits) & ~(0xffULL << 56)) | ((uint64_t)DOUBLE_HEAD << 56);
    double mantissa;
    memcpy(&mantissa, &bits, sizeof mantissa);
    int field = body[0] << 8 | body[1];
    bool negative = body[0] < ZERO_MARK;
    if (negative)
        mantissa -= negative_shift;
    /* The shift may have rounded a negative mantissa up to 1 or down to a hair below a half. */
    double size = fabs(mantissa);
    if (size < (negative ? 0.4999 : 0.5) || size > 1 || (!negative && size == 1))
        return "not a float: the mantissa is out of range";
    value->real = ldexp(mantissa, negative ? NEGATIVE_EXPONENT - field : field - POSITIVE_EXPONENT);
    if (!isfinite(value->real) || value->real == 0)
        return "not a float: the exponent is out of range";
    return NULL;
}

/* ---- Texts, escaped so that a block is one line ---- */

static bool encode_text(const struct tablestore_value *value, struct bytes *to)
{
    /* Each byte becomes at most two. */
    if (!bytes_reserve(to, 2 * value->text.length + 2))
        return false;
    unsigned char *end = to->data + to->length;
    *end++ = FLAG_VALUE;
    for (size_t i = 0; i < value->text.length; i++) {
        char byte = value->text.bytes[i];
        if (byte == '\\' || byte == '\n' || byte == '\r')
            *end++ = '\\';
        *end++ = (unsigned char)(byte == '\n' ? 'n' : byte == '\r' ? 'r' : byte);
    }
    *end++ = '\n';
    to->length = (size_t)(end - to->data);
    return true;
}

static const char *decode_str(const unsigned char *body, size_t length,
                              struct tablestore_value *value, char *room)
{
    char *end = room;
    for (size_t i = 0; i < length; i++) {
        unsigned char byte = body[i];
        if (byte == '\r' || byte == '\n')
            return "a line break inside a text";
        if (byte == '\\') {
            byte = ++i < length ? body[i] : 0;
            if (byte == 'n')
                byte = '\n';
            else if (byte == 'r')
                byte = '\r';
            else if (byte != '\\')
                return "a text with a backslash that stands for nothing";
        }
        *end++ = (char)byte;
    }
    value->text.bytes = room;
    value->text.length = (size_t)(end - room);
    return NULL;
}

static const char *decode_unicode(const unsigned char *body, size_t length,
                                  struct tablestore_value *value, char *room)
{
    const char *wrong = decode_str(body, length, value, room);
    if (wrong == NULL && u8_check((const uint8_t *)room, value->text.length) != NULL)
        wrong = "not valid UTF-8";
    return wrong;
}

/* ---- Dates and times, as digits ---- */

bool date_is_real(const struct tablestore_moment *moment)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    if (moment->year < 1 || moment->year > 9999 || moment->month < 1 || moment->month > 12)
        return false;
    bool leap = moment->year % 4 == 0 && (moment->year % 100 != 0 || moment->year % 400 == 0);
    int last = days[moment->month - 1] + (leap && moment->month == 2);
    return moment->day >= 1 && moment->day <= last;
}

bool time_is_real(const struct tablestore_moment *moment)
{
    return moment->hour >= 0 && moment->hour <= 23 && moment->minute >= 0 && moment->minute <= 59 &&
           moment->second >= 0 && moment->second <= 59;
}

static bool encode_date(const struct tablestore_value *value, struct bytes *to)
{
    char block[48];
    int length = snprintf(block, sizeof block, "-%04d%02d%02d\n", value->moment.year,
                          value->moment.month, value->moment.day);
    return bytes_append(to, block, (size_t)length);
}

static bool encode_time(const struct tablestore_value *value, struct bytes *to)
{
    char block[48];
    int length = snprintf(block, sizeof block, "-%02d%02d%02d\n", value->moment.hour,
                          value->moment.minute, value->moment.second);
    return bytes_append(to, block, (size_t)length);
}

static bool encode_datetime(const struct tablestore_value *value, struct bytes *to)
{
    if (!encode_date(value, to))
        return false;
    size_t junction = to->length - 1; /* the newline, which gives way to the time */
    if (!encode_time(value, to))
        return false;
    memmove(to->data + junction, to->data + junction + 2, to->length - junction - 2);
    to->length -= 2;
    return true;
}

/* Reads so many digits; -1 when there is anything else. */
static int digits(const unsigned char *body, size_t count)
{
    int number = 0;
    for (size_t i = 0; i < count; i++) {
        if (body[i] < '0' || body[i] > '9')
            return -1;
        number = 10 * number + (body[i] - '0');
    }
    return number;
}

static const char *read_date(const unsigned char *body, struct tablestore_moment *moment)
{
    moment->year = digits(body, 4);
    moment->month = digits(body + 4, 2);
    moment->day = digits(body + 6, 2);
    return date_is_real(moment) ? NULL : "there is no such date";
}

static const char *read_time(const unsigned char *body, struct tablestore_moment *moment)
{
    moment->hour = digits(body, 2);
    moment->minute = digits(body + 2, 2);
    moment->second = digits(body + 4, 2);
    return time_is_real(moment) ? NULL : "there is no such time";
}

static const char *decode_date(const unsigned char *body, size_t length,
                               struct tablestore_value *value, char *room)
{
    (void)length, (void)room;
    value->moment = (struct tablestore_moment){0};
    return read_date(body, &value->moment);
}

static const char *decode_time(const unsigned char *body, size_t length,
                               struct tablestore_value *value, char *room)
{
    (void)length, (void)room;
    value->moment = (struct tablestore_moment){0};
    return read_time(body, &value->moment);
}

static const char *decode_datetime(const unsigned char *body, size_t length,
                                   struct tablestore_value *value, char *room)
{
    (void)length, (void)room;
    const char *wrong = read_date(body, &value->moment);
    return wrong != NULL ? wrong : read_time(body + 8, &value->moment);
}

/* ---- The types ---- */

const struct type type_table[TABLESTORE_TYPE_COUNT] = {
    /* name, block length, line, in place, bytes ordered, null filler */
    [TABLESTORE_INT] = {"int", 5, false, true, false, '\0', encode_int, decode_int},
    [TABLESTORE_FLOAT] = {"float", 10, false, true, true, '\0', encode_float, decode_float},
    [TABLESTORE_STR] = {"str", 0, true, false, false, '\0', encode_text, decode_str},
    [TABLESTORE_UNICODE] = {"unicode", 0, true, false, false, '\0', encode_text, decode_unicode},
    [TABLESTORE_DATE] = {"date", 10, true, false, true, 'x', encode_date, decode_date},
    [TABLESTORE_DATETIME] = {"datetime", 16, true, false, true, 'x', encode_datetime,
                             decode_datetime},
    [TABLESTORE_TIME] = {"time", 8, true, false, true, 'x', encode_time, decode_time},
    [TABLESTORE_BOOL] = {"bool", 2, false, true, true, '\0', encode_bool, decode_bool},
    [TABLESTORE_REFERENCE] = {"<base>", 5, false, true, true, '\0', encode_reference,
                              decode_reference},
};

const char *tablestore_type_name(enum tablestore_type type)
{
    return (size_t)type < TABLESTORE_TYPE_COUNT ? type_table[type].name : "";
}

const struct type *type_by_name(const char *name, size_t length)
{
    for (size_t i = 0; i < TABLESTORE_TYPE_COUNT; i++)
        if (i != TABLESTORE_REFERENCE && strlen(type_table[i].name) == length &&
            memcmp(type_table[i].name, name, length) == 0)
            return &type_table[i];
    return NULL;
}

/* ---- Blocks ---- */

static bool encode_null(const struct type *type, struct bytes *to)
{
    size_t length = type->block_length != 0 ? type->block_length : 2;
    if (!bytes_reserve(to, length))
        return false;
    unsigned char *block = to->data + to->length;
    memset(block, type->null_filler, length);
    block[0] = FLAG_NULL;
    if (type->is_line)
        block[length - 1] = '\n';
    to->length += length;
    return true;
}

static const char *value_out_of_range(enum tablestore_type type,
                                      const struct tablestore_value *value)
{
    switch (type) {
    case TABLESTORE_INT:
        return value->integer > INT_BLOCK_MAXIMUM || value->integer < INT32_MIN - INT_BLOCK_BIAS
                   ? "an int is at least -3221225472 and at most 1073741823"
                   : NULL;
    case TABLESTORE_REFERENCE:
        return value->integer < 0 || value->integer > INT32_MAX ? "there is no such id" : NULL;
    case TABLESTORE_FLOAT:
        return isfinite(value->real) ? NULL : "infinities and NaN cannot be stored";
    case TABLESTORE_UNICODE:
        return u8_check((const uint8_t *)value->text.bytes, value->text.length) == NULL
                   ? NULL
                   : "not valid UTF-8";
    case TABLESTORE_DATE:
        return date_is_real(&value->moment) ? NULL : "there is no such date";
    case TABLESTORE_DATETIME:
        return date_is_real(&value->moment) && time_is_real(&value->moment)
                   ? NULL
                   : "there is no such date and time";
    case TABLESTORE_TIME:
        return time_is_real(&value->moment) ? NULL : "there is no such time";
    default:
        return NULL;
    }
}

bool block_encode(enum tablestore_type type, const struct tablestore_value *value, struct bytes *to,
                  const char *field, struct tablestore_error *error)
{
    char name[VISIBLE_SIZE];
    if (value->null)
        return encode_null(&type_table[type], to) || memory_failure(error);
    if (value->type != type)
        return failure(error, TABLESTORE_TYPE, NULL, -1, "field %s takes %s, not %s",
                       visible(field, name), tablestore_type_name(type),
                       tablestore_type_name(value->type));
    const char *wrong = value_out_of_range(type, value);
    if (wrong != NULL)
        return failure(error, TABLESTORE_RANGE, NULL, -1, "field %s: %s", visible(field, name),
                       wrong);
    return type_table[type].encode(value, to) || memory_failure(error);
}

const char *block_decode(enum tablestore_type type, struct block block,
                         struct tablestore_value *value, char *room)
{
    const struct type *definition = &type_table[type];
    *value = (struct tablestore_value){.type = type, .null = true};
    if (block.length < 2 ||
        (definition->block_length != 0 && block.length != definition->block_length))
        return "a block of the wrong length";
    if (definition->is_line && block.bytes[block.length - 1] != '\n')
        return "a block without its newline";
    if (block.bytes[0] == FLAG_NULL)
        return definition->block_length == 0 && block.length != 2 ? "a null with something in it"
                                                                  : NULL;
    if (block.bytes[0] != FLAG_VALUE)
        return "a block that is neither value nor null";
    const char *wrong = definition->decode(
        block.bytes + 1, block.length - 1 - (definition->is_line ? 1 : 0), value, room);
    value->null = wrong != NULL;
    return wrong;
}

const char *block_check(enum tablestore_type type, struct block block)
{
    struct tablestore_value value;
    char small[64];
    if (type_table[type].block_length != 0 || block.length <= sizeof small)
        return block_decode(type, block, &value, small);
    char *room = malloc(block.length);
    const char *wrong =
        room == NULL ? "no memory to check it" : block_decode(type, block, &value, room);
    free(room);
    return wrong;
}

/* Texts in their escaped form: what an escape stands for, not the backslash, has its place in the
 * order, and the shorter of two comes first. */
static int compare_text(struct block left, struct block right)
{
    size_t i = 1, j = 1, left_end = left.length - 1, right_end = right.length - 1;
    while (i < left_end && j < right_end) {
        unsigned char a = left.bytes[i++], b = right.bytes[j++];
        if (a == '\\' && i < left_end) {
            a = left.bytes[i++];
            a = a == 'n' ? '\n' : a == 'r' ? '\r' : a;
        }
        if (b == '\\' && j < right_end) {
            b = right.bytes[j++];
            b = b == 'n' ? '\n' : b == 'r' ? '\r' : b;
        }
        if (a != b)
            return a < b ? -1 : 1;
    }
    return (i < left_end) - (j < right_end);
}

int block_compare(enum tablestore_type type, struct block left, struct block right)
{
    if (left.bytes[0] != right.bytes[0])
        return left.bytes[0] < right.bytes[0] ? -1 : 1;
    if (left.bytes[0] != FLAG_VALUE)
        return 0;
    if (type_table[type].bytes_ordered)
        return memcmp(left.bytes, right.bytes, type_table[type].block_length);
    if (type == TABLESTORE_INT) {
        int32_t a = int32_read(left.bytes + 1), b = int32_read(right.bytes + 1);
        return (a > b) - (a < b);
    }
    return compare_text(left, right);
}
