/* Tells a service manager (systemd's Type=notify) of the server's state; does nothing where there is none. */
#ifndef RC_CLI_NOTIFY_H
#define RC_CLI_NOTIFY_H

/* `state` as in "READY=1"; several are separated by newlines. */
void rc_notify(const char *state);
/* Before a reload; rc_notify("READY=1") follows after it. */
void rc_notify_reloading(void);

#endif
