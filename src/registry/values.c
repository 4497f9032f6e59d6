#include "base/clock.h"
#include "base/log.h"
#include "registry/private.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

int64_t rc_registry_now_ms(void)
{
    return (int64_t)rc_clock_wall_ms();
}

void rc_registry_random(char *out, size_t len)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    enum { LETTERS = sizeof(letters) - 1, FAIR = 256 / LETTERS * LETTERS };
    size_t have = 0;
    while (have < len) {
        uint8_t random[64];
        if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random))
            abort(); /* never happens: so few bytes are always there */
        for (size_t i = 0; i < sizeof(random) && have < len; i++)
            if (random[i] < FAIR) /* the rest would make some letters likelier */
                out[have++] = letters[random[i] % LETTERS];
        explicit_bzero(random, sizeof(random));
    }
    out[len] = '\0';
}

enum { CONTEXT_MAX = 32 + RC_CATALOG_ID_MAX + RC_CLIENT_ID_MAX + RC_CATALOG_CUSTOM_USER_MAX + 8 };

static struct rc_slice context_of(char out[CONTEXT_MAX], const char *kind, struct rc_slice instance,
                                  struct rc_slice id)
{
    size_t kind_len = strlen(kind), len = kind_len + 1 + instance.len + 1 + id.len;
    if (len > CONTEXT_MAX)
        return rc_slice(out, 0);
    memcpy(out, kind, kind_len + 1);
    if (instance.len > 0)
        memcpy(out + kind_len + 1, instance.ptr, instance.len);
    out[kind_len + 1 + instance.len] = '\0';
    if (id.len > 0)
        memcpy(out + kind_len + 2 + instance.len, id.ptr, id.len);
    return rc_slice(out, len);
}

int rc_registry_seal(struct rc_registry *registry, const char *kind, struct rc_slice instance,
                     struct rc_slice id, struct rc_slice secret, struct rc_slice *ret, struct rc_error *error)
{
    static _Thread_local uint8_t sealed[RC_SECRET_TEXT_MAX + RC_SECRET_OVERHEAD];
    char text[CONTEXT_MAX];
    if (secret.len > RC_SECRET_TEXT_MAX)
        return rc_error_set(error, RC_ERR_TOO_LARGE, "the secret is too long");
    if (rc_secret_seal(registry->box, context_of(text, kind, instance, id), secret, sealed) != RC_OK)
        return rc_error_set(error, RC_ERR_IO, "a secret cannot be encrypted");
    *ret = rc_slice(sealed, secret.len + RC_SECRET_OVERHEAD);
    return RC_OK;
}

int rc_registry_unseal(struct rc_registry *registry, const char *kind, struct rc_slice instance,
                       struct rc_slice id, struct rc_slice sealed, struct rc_slice *ret,
                       struct rc_error *error)
{
    static _Thread_local uint8_t secret[RC_SECRET_TEXT_MAX];
    char text[CONTEXT_MAX], name[128];
    if (sealed.len < RC_SECRET_OVERHEAD || sealed.len > RC_SECRET_TEXT_MAX + RC_SECRET_OVERHEAD ||
        rc_secret_open(registry->box, context_of(text, kind, instance, id), sealed, secret) != RC_OK)
        return rc_error_set(error, RC_ERR_CORRUPT, "the registry's secret of %s %s cannot be read", kind,
                            rc_log_quote(name, sizeof(name), id));
    *ret = rc_slice(secret, sealed.len - RC_SECRET_OVERHEAD);
    return RC_OK;
}

static const char *words_of(const char *what)
{
    static const struct {
        const char *what, *words;
    } table[] = {
        {"instance", RC_REGISTRY_INSTANCE_WORDS},         {"group", RC_REGISTRY_GROUP_WORDS},
        {"parent topic", RC_REGISTRY_PARENT_TOPIC_WORDS}, {"rule", RC_REGISTRY_RULE_WORDS},
        {"access key", RC_REGISTRY_ACCESS_KEY_WORDS},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
        if (strcmp(table[i].what, what) == 0)
            return table[i].words;
    return NULL;
}

int rc_registry_refuse(struct rc_error *error, int err, const char *what, struct rc_slice name)
{
    char text[160];
    const char *words = words_of(what);
    rc_log_quote(text, sizeof(text), name);
    switch (err) {
    case RC_ERR_EXISTS:
        return rc_error_set(error, err, "The %s %s exists already.", what, text);
    case RC_ERR_NOT_FOUND:
        return rc_error_set(error, err, "There is no %s %s.", what, text);
    case RC_ERR_INVALID:
        return words == NULL
                   ? rc_error_set(error, err, "The %s %s is not valid.", what, text)
                   : rc_error_set(error, err, "The %s %s is not valid: it has %s.", what, text, words);
    case RC_ERR_FULL:
        return rc_error_set(error, err, "There are too many of the kind: %s.", what);
    case RC_ERR_BUSY:
        return rc_error_set(error, err, "The %s %s is in use.", what, text);
    default:
        return rc_error_set(error, err, "%s %s: %s.", what, text, rc_err_text(err));
    }
}

bool rc_registry_page_is_valid(const struct rc_registry_page *page)
{
    return page->limit > 0 && page->limit <= RC_REGISTRY_PAGE_MAX;
}
