#include "broker/send.h"

#include "broker/private.h"

static void deliver_done(struct rc_mail *mail, struct rc_loop *loop)
{
    struct rc_broker_message *message = rc_container_of(mail, struct rc_broker_message, mail);
    message->on_done(message);
}

static void deliver_message(struct rc_mail *mail, struct rc_loop *loop)
{
    struct rc_broker_message *message = rc_container_of(mail, struct rc_broker_message, mail);
    struct rc_mqtt_publish publish = {
        .qos = message->qos, .topic = message->topic, .payload = message->payload};
    const struct rc_instance *instance = rc_catalog_instance(message->broker->catalog, message->instance);
    if (instance != NULL)
        rc_route_named(message->broker, instance, &publish, NULL, message->id);
    message->mail.deliver = deliver_done;
    rc_loop_post(message->reply_to, &message->mail);
}

void rc_broker_send(struct rc_broker *broker, struct rc_broker_message *message)
{
    message->broker = broker;
    message->mail.deliver = deliver_message;
    rc_loop_post(broker->options.loop, &message->mail);
}
