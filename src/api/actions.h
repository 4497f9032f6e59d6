/*
 * Actions: what the table of them says of one, and the functions that do them. All on the API's thread, but
 * for rc_store_*, which run on the RocketMQ endpoint's worker, where files may be waited for, and rc_work_*,
 * on one of the registry's.
 */
#ifndef RC_API_ACTIONS_H
#define RC_API_ACTIONS_H

#include "api/api_private.h"
#include "rocketmq/tenancy.h"
#include "store/store.h"

enum rc_api_action_flag {
    RC_ACTION_OWN = 1,    /* Rollcall's: without InstanceId it is about the key's own */
    RC_ACTION_WRITES = 2, /* not for read-only keys */
    RC_ACTION_ADMIN = 4,  /* for administrators' keys alone */
};

/* What a job on the worker has: it fills call->answer. */
struct rc_store_work {
    struct rc_api_call *call;
    struct rc_store *store;
    struct rc_tenancy tenancy; /* of the call's instance, claiming nothing */
    struct rc_error error;     /* a sentence for the caller */
    /* What goes on with the call on the API's thread, and answers it, after success; NULL: it is answered. */
    void (*then)(struct rc_api_call *call, void *arg);
    void *then_arg;
};
typedef int rc_store_fn(struct rc_store_work *work); /* 0 or a negative rc_err */

struct rc_registry_work;                                        /* registry_work.h */
typedef int rc_registry_work_fn(struct rc_registry_work *work); /* negative: an rc_err */

struct rc_api_action {
    const char *name;
    bool may_get, may_post;
    uint16_t per_second;  /* of one key */
    const char *instance; /* the parameter that holds the instance id; NULL when it takes none */
    const char *needs;    /* parameters that must be there, with blanks between them */
    uint8_t flags;
    void (*run)(struct rc_api_call *call); /* or */
    rc_store_fn *store;                    /* or */
    rc_registry_work_fn *work;             /* or, where it changes nothing */
    rc_registry_work_fn *read;
};

/* ---- openapi_actions.c: NULL when there is none ---- */
const struct rc_api_action *rc_api_action_find(const char *name);
const struct rc_api_action *rc_api_action_at(size_t index); /* all of them, the product's first */

/* ---- store_work.c: runs `work` on the worker and answers ---- */
void rc_api_call_store(struct rc_api_call *call, rc_store_fn *work);

/* ---- registry_work.c: runs it on the registry's thread (a read: beside its changes) and answers ---- */
void rc_api_call_work(struct rc_api_call *call, rc_registry_work_fn *fn);
void rc_api_call_read(struct rc_api_call *call, rc_registry_work_fn *fn);

/* ---- actions_session.c ---- */
void rc_action_query_session(struct rc_api_call *call);
void rc_action_batch_query_session(struct rc_api_call *call);
void rc_action_describe_clients(struct rc_api_call *call);
void rc_action_close_connection(struct rc_api_call *call);
void rc_action_list_online_clients(struct rc_api_call *call);
void rc_action_count_online_clients(struct rc_api_call *call);

/* ---- actions_trace.c ---- */
void rc_action_trace_device(struct rc_api_call *call);

/* ---- actions_trace_message.c ---- */
void rc_action_trace_client(struct rc_api_call *call);
void rc_action_trace_publish(struct rc_api_call *call);
void rc_action_trace_subscribe(struct rc_api_call *call);

/* ---- actions_rule.c ---- */
void rc_action_list_rules(struct rc_api_call *call); /* of all types */
void rc_action_list_status_rules(struct rc_api_call *call);
void rc_action_list_outflows(struct rc_api_call *call);
void rc_action_list_inflows(struct rc_api_call *call);
void rc_action_replay_rule(struct rc_api_call *call);

/* ---- actions_rule_try.c ---- */
void rc_action_test_rule(struct rc_api_call *call);

/* ---- actions_rule_drop.c ---- */
void rc_action_drop_rule_messages(struct rc_api_call *call);

/* ---- actions_message.c ---- */
void rc_action_send_message(struct rc_api_call *call);

/* ---- actions_rocketmq.c: topics and consumer groups of the embedded endpoint ---- */
rc_store_fn rc_store_list_rmq_topics, rc_store_create_rmq_topic, rc_store_delete_rmq_topic;
rc_store_fn rc_store_list_groups, rc_store_create_group, rc_store_delete_group;

/* ---- actions_consumer.c: what one consumer group has read ---- */
void rc_action_describe_group(struct rc_api_call *call);
rc_store_fn rc_store_reset_offset;
/* RC_ERR_NOT_FOUND with a sentence: ConsumerGroup is none of the instance's. */
int rc_store_check_group(struct rc_store_work *work);

/* ---- actions_dead_letter.c: what a consumer group could not process ---- */
rc_store_fn rc_store_list_dead_letters, rc_store_resend_dead_letters;

/* ---- actions_instance.c ---- */
rc_registry_work_fn rc_work_list_instances, rc_work_create_instance, rc_work_update_instance,
    rc_work_delete_instance, rc_work_list_groups, rc_work_create_group, rc_work_delete_group,
    rc_work_list_topics, rc_work_create_topic, rc_work_delete_topic;

/* ---- actions_tag.c ---- */
rc_registry_work_fn rc_work_tag_resources, rc_work_untag_resources, rc_work_list_tag_resources;
/* [{TagKey, TagValue}] of a resource. */
json_t *rc_work_tags_of(struct rc_registry_work *work, const char *type, struct rc_slice id);
/* Gives it the tags of the parameters Tag.N.Key and Tag.N.Value, or of Tags. 0 or a negative rc_err. */
int rc_work_put_tags(struct rc_registry_work *work, const char *type, struct rc_slice id);
/* Whether they have all of those. */
bool rc_work_fits_tags(const struct rc_registry_work *work, const json_t *tags);

/* ---- actions_key.c ---- */
rc_registry_work_fn rc_work_list_keys, rc_work_create_key, rc_work_update_key, rc_work_delete_key;

/* ---- actions_credential.c ---- */
rc_registry_work_fn rc_work_register_credential, rc_work_refresh_credential, rc_work_get_credential,
    rc_work_unregister_credential, rc_work_list_credentials;

/* ---- actions_identity.c ---- */
rc_registry_work_fn rc_work_add_identity, rc_work_update_identity, rc_work_delete_identity,
    rc_work_query_identities, rc_work_add_permission, rc_work_update_permission, rc_work_delete_permission,
    rc_work_query_permissions, rc_work_add_black, rc_work_delete_black, rc_work_query_black;

/* ---- actions_certificate.c ---- */
rc_registry_work_fn rc_work_register_code, rc_work_register_ca, rc_work_activate_ca, rc_work_inactivate_ca,
    rc_work_delete_ca, rc_work_get_ca, rc_work_list_cas, rc_work_activate_device, rc_work_inactivate_device,
    rc_work_delete_device, rc_work_get_device, rc_work_list_devices;

/* ---- actions_token.c ---- */
void rc_action_apply_token(struct rc_api_call *call);
void rc_action_query_token(struct rc_api_call *call);
rc_registry_work_fn rc_work_revoke_token;

/* ---- actions_rule_change.c ---- */
rc_registry_work_fn rc_work_create_status_rule, rc_work_update_status_rule, rc_work_delete_status_rule,
    rc_work_create_outflow, rc_work_update_outflow, rc_work_delete_outflow, rc_work_create_inflow,
    rc_work_update_inflow, rc_work_delete_inflow;

#endif
