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

void rc_hints_print(const struct rc_config *config, uint16_t mqtt_port, uint16_t rocketmq_port, FILE *out)
{
    struct example example;
    char client_id[128], password[RC_SIGNATURE_LEN + 1];
    if (!find_example(config, &example)) {
        fputs("\nNo commands to try: no instance has both a key and an enabled rule.\n", out);
        return;
    }
    const char *instance = example.instance->id.text, *access_key = example.key->access_key.text;
    const struct rc_config_text *topics = example.instance->topics.items;
    const char *program = program_invocation_name; /* works where it is not on the PATH */
    const char *topic = example.instance->topics.count > 0 ? topics[0].text : "topic";
    snprintf(client_id, sizeof(client_id), "%s@@@device001", example.rule->group.text);
    struct rc_slice signed_text = rc_slice_str(client_id);
    rc_sign(rc_slice_str(example.key->secret_key.text), &signed_text, 1, password);
    fprintf(out,
            "\nWatch clients come and go, in a second terminal:\n"
            "  %s watch --endpoint 127.0.0.1:%u --key-file '%s' --topic '%s'\n",
            program, rocketmq_port, config->file, example.rule->topic.text);
    fprintf(out,
            "\nBe a device, in a third one, until Ctrl-C (%s sign makes other passwords):\n"
            "  mosquitto_sub -h 127.0.0.1 -p %u -i '%s' -u 'Signature|%s|%s' -P '%s' -t '%s/#' -v\n",
            program, mqtt_port, client_id, access_key, instance, password, topic);
    snprintf(client_id, sizeof(client_id), "%s@@@device002", example.rule->group.text);
    signed_text = rc_slice_str(client_id);
    rc_sign(rc_slice_str(example.key->secret_key.text), &signed_text, 1, password);
    fprintf(
        out,
        "\nBe another that comes, says something and goes:\n"
        "  mosquitto_pub -h 127.0.0.1 -p %u -i '%s' -u 'Signature|%s|%s' -P '%s' -t '%s/hello' -m hello\n\n",
        mqtt_port, client_id, access_key, instance, password, topic);
    fflush(out);
}
