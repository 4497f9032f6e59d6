#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

const char *rc_err_text(int err)
{
    switch (err) {
    case RC_OK:
        return "success";
#define X(name, value, text)                                                                                 \
    case name:                                                                                               \
        return text;
        RC_ERROR_MAP(X)
#undef X
    default:
        return "unknown error";
    }
}

int rc_err_from_errno(int errno_value)
{
    switch (errno_value) {
    case 0:
        return RC_OK;
    case ENOSPC:
    case EDQUOT:
        return RC_ERR_NO_SPACE;
    case ENOENT:
        return RC_ERR_NOT_FOUND;
    case EEXIST:
        return RC_ERR_EXISTS;
    case EACCES:
    case EPERM:
    case EROFS:
        return RC_ERR_DENIED;
    case EAGAIN:
        return RC_ERR_AGAIN;
    case EBUSY:
    case EADDRINUSE:
        return RC_ERR_BUSY;
    case EPIPE:
    case ECONNRESET:
    case ECONNREFUSED:
        return RC_ERR_CLOSED;
    case ETIMEDOUT:
        return RC_ERR_TIMEOUT;
    case EINVAL:
        return RC_ERR_INVALID;
    case EMFILE:
    case ENFILE:
    case ENOMEM:
        return RC_ERR_FULL;
    default:
        return RC_ERR_IO;
    }
}

int rc_error_set(struct rc_error *error, int code, const char *format, ...)
{
    if (error == NULL)
        return code;
    va_list args;
    va_start(args, format);
    vsnprintf(error->text, sizeof(error->text), format, args);
    va_end(args);
    error->code = code;
    return code;
}
