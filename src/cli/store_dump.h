/* rollcall store dump */
#ifndef RC_CLI_STORE_DUMP_H
#define RC_CLI_STORE_DUMP_H

int rc_store_dump_run(int argc, char **argv); /* argv[0] is "dump"; returns an exit code */

#endif
