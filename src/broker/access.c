#include "broker/access.h"

#include "broker/private.h"
#include "mqtt/topic.h"

const struct rc_limits *rc_conn_limits(const struct rc_conn *conn)
{
    const struct rc_instance *instance = NULL;
    if (conn->session != NULL)
        instance = rc_catalog_instance(conn->broker->catalog, rc_session_instance(conn->session));
    else if (conn->group != NULL) /* its login was just checked */
        instance = conn->group->instance;
    return instance != NULL ? &instance->limits : rc_limits_of(RC_PROFILE_PRODUCT);
}

/* The product's way: the first level must be a parent topic of the client's instance. */
static enum rc_access_result check_parent(const struct rc_conn *conn, struct rc_slice topic)
{
    struct rc_slice parent;
    size_t at = 0;
    const struct rc_instance *instance =
        rc_catalog_instance(conn->broker->catalog, rc_session_instance(conn->session));
    rc_topic_next_level(topic, &at, &parent);
    return instance != NULL && rc_map_find(&instance->topics, parent) != NULL ? RC_ACCESS_ALLOWED
                                                                              : RC_ACCESS_CLOSE;
}

enum rc_access_result rc_access_publish(struct rc_conn *conn, struct rc_slice topic, uint8_t qos, bool retain)
{
    return check_parent(conn, topic);
}

enum rc_access_result rc_access_subscribe(struct rc_conn *conn, struct rc_slice filter, uint8_t qos)
{
    struct rc_slice group, inner = filter;
    rc_topic_filter_split_shared(filter, &group, &inner);
    return check_parent(conn, inner);
}
