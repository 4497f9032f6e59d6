/*
 * Errors are values. A function that can fail returns 0 or one of these negative codes (parsers: >0 bytes
 * consumed, 0 needs more, <0 error). Outputs named ret_* are untouched on failure. Where an operator has to
 * act, a struct rc_error carries the sentence that tells what to do.
 */
#ifndef RC_BASE_ERROR_H
#define RC_BASE_ERROR_H

#define RC_ERROR_MAP(X)                                                                                      \
    X(RC_ERR_IO, -1, "input/output error")                                                                   \
    X(RC_ERR_FULL, -2, "a limit was reached")                                                                \
    X(RC_ERR_NO_SPACE, -3, "no space left on the disk")                                                      \
    X(RC_ERR_INVALID, -4, "invalid argument or malformed data")                                              \
    X(RC_ERR_NOT_FOUND, -5, "not found")                                                                     \
    X(RC_ERR_EXISTS, -6, "already exists")                                                                   \
    X(RC_ERR_CORRUPT, -7, "data on disk is damaged")                                                         \
    X(RC_ERR_VERSION, -8, "unsupported version")                                                             \
    X(RC_ERR_DENIED, -9, "permission denied")                                                                \
    X(RC_ERR_BUSY, -10, "in use")                                                                            \
    X(RC_ERR_TIMEOUT, -11, "timed out")                                                                      \
    X(RC_ERR_CLOSED, -12, "closed")                                                                          \
    X(RC_ERR_AGAIN, -13, "would block")                                                                      \
    X(RC_ERR_PROTOCOL, -14, "protocol violation by the peer")                                                \
    X(RC_ERR_TOO_LARGE, -15, "larger than the limit")                                                        \
    X(RC_ERR_UNSUPPORTED, -16, "not supported")                                                              \
    X(RC_ERR_RANGE, -17, "outside of the range kept")

enum rc_err {
    RC_OK = 0,
#define X(name, value, text) name = value,
    RC_ERROR_MAP(X)
#undef X
};

/* The text of a code; never NULL. */
const char *rc_err_text(int err);

/* Maps an errno to a code (ENOSPC and EDQUOT to RC_ERR_NO_SPACE, ENOENT to RC_ERR_NOT_FOUND, ...). */
int rc_err_from_errno(int errno_value);

/* A sentence for a person, with the code that caused it. */
struct rc_error {
    int code;
    char text[480];
};

/* Fills `error` (which may be NULL) and returns `code`, so that `return rc_error_set(...)` reads well. */
int rc_error_set(struct rc_error *error, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
