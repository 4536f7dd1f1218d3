/* `freshet init`: writes a commented freshet.yaml with a fresh key. */
#pragma once

extern const char init_help[];

int init_main(int argc, char **argv);
