/* rollcall rule; its verb test: do the clusters that rules lead to take what will be sent? */
#include "catalog/catalog.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "cli/rule_status.h"
#include "control/control.h"
#include "rules/target_check.h"

#include <stdio.h>
#include <string.h>

struct rule_options {
    const char *config_file, *rule;
};

static const struct rc_cli_option rows[] = {
    {.name = "config",
     .letter = 'c',
     .kind = RC_CLI_TEXT,
     .offset = offsetof(struct rule_options, config_file),
     .value = "FILE",
     .help = "the configuration (default: /etc/rollcall/rollcall.yaml)"},
};

static const struct rc_cli_usage usage = {
    .command = "rule test",
    .synopsis = "[RULE] [-c FILE]",
    .about = "Tries the RocketMQ cluster of each rule of the file that has one (or of RULE alone): its name\n"
             "servers, the topic, its brokers, whether the keys may send there, or read there as the rule's\n"
             "group. Nothing is put into the topic. Exit code 1 when something is in the way: no route, no\n"
             "topic, no broker, no group or no permission. A rule that was made by the API is tried by the\n"
             "server: rollcall ctl rule test.\n",
    .options = rows,
    .count = sizeof(rows) / sizeof(rows[0]),
    .examples = "  rollcall rule test -c rollcall.yaml\n"
                "  rollcall rule test status-1 -c rollcall.yaml\n",
    .operand = "RULE",
    .operand_offset = offsetof(struct rule_options, rule),
};

struct trial {
    const char *only; /* NULL: all */
    uint32_t tried, failed;
};

static void test_rule(struct trial *trial, const struct rc_instance *instance, struct rc_slice id,
                      const struct rc_target *target, struct rc_slice topic, struct rc_slice group)
{
    struct rc_error error = {.text = ""};
    struct rc_target_found found;
    if (target == NULL || (trial->only != NULL && !rc_slice_eq_str(id, trial->only)))
        return;
    const struct rc_target_question question = {.target = target, .topic = topic, .group = group};
    int err = rc_target_check(&question, &found, &error);
    printf("%.*s/%.*s %s %.*s/%.*s: ", RC_SLICE_FMT(instance->id), RC_SLICE_FMT(id),
           group.len > 0 ? "<-" : "->", RC_SLICE_FMT(target->name), RC_SLICE_FMT(topic));
    if (err == RC_OK)
        printf("ok, queues=%u brokers=%u\n", found.queues, found.brokers);
    else
        printf("%s\n", error.text);
    trial->tried++;
    trial->failed += err != RC_OK;
}

static void test_flows(struct trial *trial, const struct rc_instance *instance, const struct rc_trie *flows)
{
    struct rc_trie_walk walk;
    const struct rc_flow_rule *rule;
    rc_trie_walk_start(&walk, flows);
    while ((rule = rc_trie_walk_next(&walk)) != NULL)
        test_rule(trial, instance, rule->id, rule->target, rule->target_topic, rule->group);
}

static int test_all(const struct rc_catalog *catalog, const char *only)
{
    const struct rc_instance *instance;
    struct rc_trie_walk instances, rules;
    struct trial trial = {.only = only};
    rc_trie_walk_start(&instances, &catalog->instances);
    while ((instance = rc_trie_walk_next(&instances)) != NULL) {
        const struct rc_status_rule *rule;
        rc_trie_walk_start(&rules, &instance->status_rules);
        while ((rule = rc_trie_walk_next(&rules)) != NULL)
            test_rule(&trial, instance, rule->id, rule->target, rule->target_topic, rc_slice(NULL, 0));
        test_flows(&trial, instance, &instance->outflows);
        test_flows(&trial, instance, &instance->inflows);
    }
    if (trial.tried > 0)
        return trial.failed > 0 ? RC_EXIT_FAILURE : RC_EXIT_OK;
    fprintf(stderr, "rollcall rule test: no rule%s%s has a target in another cluster\n", only ? " " : "",
            only ? only : "");
    return RC_EXIT_USAGE;
}

static int test(int argc, char **argv)
{
    struct rule_options options = {.config_file = "/etc/rollcall/rollcall.yaml"};
    struct rc_config_errors errors;
    int code = rc_cli_parse(&usage, argc, argv, &options);
    if (code != RC_CLI_GO_ON)
        return code;
    rc_config_errors_init(&errors);
    struct rc_config *config = rc_config_load(options.config_file, &errors);
    struct rc_catalog *catalog = config != NULL ? rc_control_build_catalog(config, &errors) : NULL;
    if (errors.count > 0)
        fprintf(stderr, "%.*s", RC_SLICE_FMT(rc_buf_slice(&errors.text)));
    code = catalog != NULL ? test_all(catalog, options.rule) : RC_EXIT_USAGE;
    rc_catalog_unref(catalog);
    rc_config_free(config);
    rc_config_errors_free(&errors);
    return code;
}

static int help(FILE *out)
{
    fputs("Usage: rollcall rule <verb> [options]\n\n"
          "  list [RULE]   where rules lead, how far they got, what is in the way (asks a server)\n"
          "  test [RULE]   tries the RocketMQ clusters that rules lead to\n"
          "  drop RULE     gives up what a rule has not sent (asks a server)\n\n"
          "'rollcall rule <verb> --help' tells more.\n\n"
          "Examples:\n"
          "  rollcall rule list --key-file rollcall.yaml\n"
          "  rollcall rule test status-1 -c rollcall.yaml\n",
          out);
    return out == stdout ? RC_EXIT_OK : RC_EXIT_USAGE;
}

static int run(int argc, char **argv)
{
    static const struct {
        const char *name;
        int (*run)(int argc, char **argv);
    } verbs[] = {{"test", test}, {"list", rc_rule_list}, {"status", rc_rule_list}, {"drop", rc_rule_drop}};
    for (size_t i = 0; argc > 1 && i < sizeof(verbs) / sizeof(verbs[0]); i++)
        if (strcmp(argv[1], verbs[i].name) == 0)
            return verbs[i].run(argc - 1, argv + 1);
    bool is_asked = argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0);
    return help(is_asked ? stdout : stderr);
}

const struct rc_cli_command rc_cli_rule = {
    "rule", "what rules send to RocketMQ clusters: list, test, drop", run,
    (const struct rc_cli_usage *const[]){&rc_rule_list_usage, &usage, &rc_rule_drop_usage, NULL}};
