#include "cli/ctl_print.h"

#include "cli/ctl_table.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { NAME_MAX_LEN = 32, CELL_MAX = 1200 };

/* Times are milliseconds since 1970, also as texts. */
static bool is_time(const char *name)
{
    static const char *const names[] = {"CreateTime", "UpdateTime", "Since",     "LastActive",
                                        "StoreTime",  "ValidEnd",   "ValidBegin"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

static void format_time(long long ms, char *out, size_t size)
{
    time_t seconds = (time_t)(ms / 1000);
    struct tm local;
    out[0] = '\0';
    if (ms > 0 && localtime_r(&seconds, &local) != NULL)
        strftime(out, size, "%Y-%m-%d %H:%M:%S", &local);
}

/* What a terminal might obey is shown as '?'. */
static void copy_plain(char *out, size_t size, const char *text)
{
    size_t len = 0;
    for (; *text != '\0' && len + 1 < size; text++)
        out[len++] = (unsigned char)*text < ' ' || *text == 0x7f ? '?' : *text;
    out[len] = '\0';
}

static void format_cell(const json_t *value, const char *name, char *out, size_t size)
{
    const char *text = json_string_value(value);
    if (is_time(name) && (text != NULL || json_is_integer(value)))
        format_time(text != NULL ? strtoll(text, NULL, 10) : json_integer_value(value), out, size);
    else if (text != NULL)
        copy_plain(out, size, text);
    else if (json_is_integer(value))
        snprintf(out, size, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    else if (json_is_boolean(value))
        snprintf(out, size, "%s", json_is_true(value) ? "yes" : "no");
    else
        out[0] = '\0';
}

static size_t read_columns(const char *columns, char names[RC_CTL_COLUMNS_MAX][NAME_MAX_LEN])
{
    size_t count = 0;
    while (count < RC_CTL_COLUMNS_MAX && columns[0] != '\0') {
        size_t len = strcspn(columns, " ");
        snprintf(names[count++], NAME_MAX_LEN, "%.*s", (int)len, columns);
        columns += len + strspn(columns + len, " ");
    }
    return count;
}

static const json_t *field(const json_t *item, const char *name)
{
    return json_is_object(item) ? json_object_get(item, name) : item;
}

static int width_of(const char *text)
{
    int width = 0;
    for (; *text != '\0'; text++)
        width += ((unsigned char)*text & 0xc0) != 0x80;
    return width;
}

static void print_cell(const char *text, int width, bool is_last)
{
    if (is_last)
        printf("%s\n", text);
    else
        printf("%s%*s", text, width - width_of(text) + 2, "");
}

void rc_ctl_print_table(const json_t *list, const char *columns)
{
    char names[RC_CTL_COLUMNS_MAX][NAME_MAX_LEN], cell[CELL_MAX];
    int widths[RC_CTL_COLUMNS_MAX];
    size_t count = read_columns(columns, names), i;
    const json_t *item;
    for (size_t c = 0; c < count; c++)
        widths[c] = width_of(names[c]);
    json_array_foreach(list, i, item)
    {
        for (size_t c = 0; c < count; c++) {
            format_cell(field(item, names[c]), names[c], cell, sizeof(cell));
            widths[c] = width_of(cell) > widths[c] ? width_of(cell) : widths[c];
        }
    }
    for (size_t c = 0; c < count; c++)
        print_cell(names[c], widths[c], c + 1 == count);
    json_array_foreach(list, i, item)
    {
        for (size_t c = 0; c < count; c++) {
            format_cell(field(item, names[c]), names[c], cell, sizeof(cell));
            print_cell(cell, widths[c], c + 1 == count);
        }
    }
}

static bool print_field(const char *name, const json_t *value)
{
    static const char *const passed_over[] = {"RequestId", "Code", "Message", "Success"};
    char cell[CELL_MAX];
    for (size_t i = 0; i < sizeof(passed_over) / sizeof(passed_over[0]); i++)
        if (strcmp(name, passed_over[i]) == 0)
            return false;
    if (json_is_string(value) && !is_time(name)) { /* whole: a certificate, a token */
        printf("%-22s %s\n", name, json_string_value(value));
        return true;
    }
    format_cell(value, name, cell, sizeof(cell));
    printf("%-22s %s\n", name, cell);
    return true;
}

void rc_ctl_print_fields(const json_t *answer)
{
    const char *name, *inner_name;
    json_t *value, *inner;
    bool has_any = false;
    /* jansson's macro wants the object without const; it is only read */
    json_object_foreach((json_t *)(uintptr_t)answer, name, value)
    {
        if (json_is_object(value)) {
            json_object_foreach(value, inner_name, inner) has_any |= print_field(inner_name, inner);
        } else if (!json_is_array(value)) {
            has_any |= print_field(name, value);
        }
    }
    if (!has_any)
        puts("done");
}
