#include "control/config.h"

#include <stdarg.h>
#include <stdio.h>

enum { ERRORS_TEXT_MAX = 64 * 1024 };

void rc_config_errors_init(struct rc_config_errors *errors)
{
    *errors = (struct rc_config_errors){0};
    rc_buf_init(&errors->text, ERRORS_TEXT_MAX);
}

void rc_config_errors_free(struct rc_config_errors *errors)
{
    rc_buf_free(&errors->text);
    errors->count = 0;
}

void rc_config_errors_add(struct rc_config_errors *errors, const char *file, struct rc_config_at at,
                          const char *path, const char *format, ...)
{
    char text[600];
    va_list args;
    /* A flood of errors has one cause more often than not; the first ones tell it. */
    if (++errors->count > RC_CONFIG_ERRORS_MAX)
        return;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    rc_buf_put_str(&errors->text, file);
    if (at.line > 0)
        rc_buf_printf(&errors->text, ":%u:%u", at.line, at.column);
    rc_buf_printf(&errors->text, ": %s%s%s\n", path, *path != '\0' ? ": " : "", text);
}
