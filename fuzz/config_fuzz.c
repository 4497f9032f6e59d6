/* The configuration: any text is either refused with errors or reads back, once printed, to the same text. */
#include "control/config.h"

#include <stdint.h>
#include <stdlib.h>

enum { PRINTED_MAX = 16 * 1024 * 1024 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void print(const struct rc_config *config, struct rc_buf *out)
{
    rc_buf_init(out, PRINTED_MAX);
    if (rc_config_print(config, out) != RC_OK)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rc_config_errors errors;
    rc_config_errors_init(&errors);
    struct rc_config *config = rc_config_parse("fuzz.yaml", rc_slice(data, size), &errors);
    if ((config == NULL) != (errors.count > 0))
        abort();
    if (config != NULL) {
        struct rc_buf first, second;
        print(config, &first);
        rc_config_free(config);
        config = rc_config_parse("printed.yaml", rc_buf_slice(&first), &errors);
        if (config == NULL)
            abort();
        print(config, &second);
        if (!rc_slice_eq(rc_buf_slice(&first), rc_buf_slice(&second)))
            abort();
        rc_buf_free(&first);
        rc_buf_free(&second);
    }
    rc_config_free(config);
    rc_config_errors_free(&errors);
    return 0;
}
