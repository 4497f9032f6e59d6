/* rollcall store check */
#ifndef RC_CLI_STORE_CHECK_H
#define RC_CLI_STORE_CHECK_H

int rc_store_check_run(int argc, char **argv); /* argv[0] is "check"; returns an exit code */

#endif
