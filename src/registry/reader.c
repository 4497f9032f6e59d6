/*
 * Reads beside changes. A reader is a registry of its own: a thread, a connection to the same database (in
 * WAL mode neither holds the other up), a box to open secrets with. After each commit, and before anybody is
 * answered, the one that changes shows it the catalog. There is one view at most under way: a newer one takes
 * the place of one that was not looked at yet, so a long list holds no more than that.
 */
#include "base/alloc.h"
#include "registry/private.h"

struct rc_registry_view {
    struct rc_catalog *catalog, *declared;
};

static void free_view(struct rc_registry_view *view)
{
    rc_catalog_unref(view->catalog);
    rc_catalog_unref(view->declared);
    free(view);
}

/* What nobody else has any more of the catalog before is freed here, where it holds up reads alone. */
static void on_view(struct rc_mail *mail, struct rc_loop *loop)
{
    struct rc_registry *reader = rc_container_of(mail, struct rc_registry, view_mail);
    struct rc_registry_view *view = atomic_exchange(&reader->view, NULL);
    struct rc_registry_view before = {reader->catalog, reader->declared};
    reader->catalog = view->catalog;
    reader->declared = view->declared;
    *view = before;
    free_view(view);
}

void rc_registry_show_reader(struct rc_registry *registry)
{
    struct rc_registry *reader = registry->reader;
    struct rc_registry_view *view = rc_new(struct rc_registry_view);
    view->catalog = rc_catalog_ref(registry->catalog);
    view->declared = rc_catalog_ref(registry->declared);
    struct rc_registry_view *overtaken = atomic_exchange(&reader->view, view);
    if (overtaken != NULL)
        free_view(overtaken); /* its mail is under way, and brings this one */
    else
        rc_loop_post(reader->loop, &reader->view_mail);
}

int rc_registry_open_reader(struct rc_registry *registry, const char *key_file, struct rc_error *error)
{
    struct rc_registry_options options = {.path = registry->options.path, .is_reader = true};
    struct rc_registry *reader = rc_registry_make(&options, "rc-reg-reader", error);
    if (reader == NULL)
        return RC_ERR_IO;
    registry->reader = reader;
    reader->view_mail.deliver = on_view;
    int err = rc_registry_connect_to_read(reader, error);
    err = err ? err : rc_secret_box_create(registry->options.key_text, key_file, false, &reader->box, error);
    reader->options.path = NULL; /* the caller's */
    return err;
}
