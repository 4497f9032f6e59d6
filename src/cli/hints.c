#include "cli/hints.h"

#include "auth/sign.h"

#include <errno.h>

struct example {
    const struct rc_config_instance *instance;
    const struct rc_config_key *key;
    const struct rc_config_rule *rule;
};

/* The first enabled rule of an instance that has a key to sign with. */
static bool find_example(const struct rc_config *config, struct example *ret)
{
    const struct rc_config_instance *instances = config->instances.items;
    for (uint32_t i = 0; i < config->instances.count; i++) {
        const struct rc_config_rule *rules = instances[i].rules.items;
        for (uint32_t j = 0; j < instances[i].rules.count && instances[i].keys.count > 0; j++) {
            if (!rules[j].is_enabled)
                continue;
            *ret = (struct example){&instances[i], instances[i].keys.items, &rules[j]};
            return true;
        }
    }
    return false;
}

/* Who listens on every address is reached on this machine by the loopback one. */
static void format_reachable(const struct rc_address *address, char out[RC_ADDRESS_TEXT_MAX])
{
    if (!rc_address_is_wildcard(address))
        rc_address_format(address, out);
    else
        snprintf(out, RC_ADDRESS_TEXT_MAX, "%s:%u",
                 address->any.sa_family == AF_INET6 ? "[::1]" : "127.0.0.1", rc_address_port(address));
}

/* The options of mosquitto's programs that name a server. */
static void format_mosquitto(const struct rc_address *address, char *out, size_t size)
{
    char text[RC_ADDRESS_TEXT_MAX], *host = text;
    format_reachable(address, text);
    char *end = strrchr(text, ':');
    if (!rc_address_is_ip(address) || end == NULL) {
        snprintf(out, size, "--unix '%s'", end ? end + 1 : text);
        return;
    }
    *end = '\0';
    if (*host == '[') { /* of an IPv6 address */
        host++;
        end[-1] = '\0';
    }
    snprintf(out, size, "-h %s -p %s", host, end + 1);
}

static void put_device(const char *name, const char *program, const char *where,
                       const struct example *example, const char *more, FILE *out)
{
    char client_id[128], password[RC_SIGNATURE_LEN + 1];
    snprintf(client_id, sizeof(client_id), "%s@@@%s", example->rule->group.text, name);
    struct rc_slice signed_text = rc_slice_str(client_id);
    rc_sign(rc_slice_str(example->key->secret_key.text), &signed_text, 1, password);
    const struct rc_config_text *topics = example->instance->topics.items;
    fprintf(out, "  %s %s -i '%s' -u 'Signature|%s|%s' -P '%s' -t '%s/%s\n", program, where, client_id,
            example->key->access_key.text, example->instance->id.text, password,
            example->instance->topics.count > 0 ? topics[0].text : "topic", more);
}

void rc_hints_print(const struct rc_config *config, const struct rc_address *mqtt,
                    const struct rc_address *rocketmq, FILE *out)
{
    struct example example;
    char endpoint[RC_ADDRESS_TEXT_MAX], where[RC_ADDRESS_TEXT_MAX + 16];
    const char *program = program_invocation_name; /* works where it is not on the PATH */
    if (mqtt == NULL || !find_example(config, &example)) {
        fputs("\nNo commands to try: no instance has both a key and an enabled rule.\n", out);
        return;
    }
    format_reachable(rocketmq, endpoint);
    format_mosquitto(mqtt, where, sizeof(where));
    fprintf(out,
            "\nWatch clients come and go, in a second terminal:\n"
            "  %s watch --endpoint %s --key-file '%s' --topic '%s'\n",
            program, endpoint, config->file, example.rule->topic.text);
    fprintf(out, "\nBe a device, in a third one, until Ctrl-C (%s sign makes other passwords):\n", program);
    put_device("device001", "mosquitto_sub", where, &example, "#' -v", out);
    fputs("\nBe another that comes, says something and goes:\n", out);
    put_device("device002", "mosquitto_pub", where, &example, "hello' -m hello", out);
    fputs("\n", out);
    fflush(out);
}
