/* wfctl: drive and look after a wf store from the command line. */
#include "tools/wfctl/cli.h"
#include "tools/wfctl/store.h"

#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { EXIT_OUTPUT = 7, EXIT_SIGNAL = 128 /* and its number, as shells say it */ };

/* A program may be started without its three standard files: then the store's own files would get
 * their numbers, and what is printed would go into them. */
static void occupy_standard_files(void) {
    for (int fd = 0; fd <= 2; fd++)
        if (fcntl(fd, F_GETFD) < 0)
            (void)!open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
}

static enum wf_status run(struct cli *cli) {
    if (cli->version)
        return help_version(cli);
    if (cli->help)
        return help_show(cli, cli->help_noun, cli->help_verb);
    if (cli->verb->access != ACCESS_NONE) {
        enum wf_status status = store_open(cli, cli->verb->access, false);
        if (status != WF_OK)
            return status;
    }
    enum wf_status status = cli->verb->run(cli);
    store_close(cli);
    return status;
}

static void report(struct cli *cli, enum wf_status status) {
    if (status == WF_OK || cli->reported)
        return;
    out_error(&cli->out, status, cli->err.text);
    if (!cli->usage_hint || out_is_json(&cli->out))
        return;
    const char *noun = cli->help_noun && cli_noun_find(cli->help_noun) ? cli->help_noun : NULL;
    fprintf(stderr, "Try 'wfctl help%s%s%s%s'.\n", noun ? " " : "", noun ? noun : "",
            cli->help_verb ? " " : "", cli->help_verb ? cli->help_verb : "");
}

/* What could not be printed was not told: that is a failure too. A reader that went away is not
 * worth a word. */
static int finish(struct cli *cli, enum wf_status status) {
    bool told = out_flush(&cli->out);
    int output_errno = cli->out.write_errno;
    out_deinit(&cli->out);
    if (told)
        return status == WF_OK && cli->stop_signal ? EXIT_SIGNAL + cli->stop_signal
                                                   : out_exit_status(status);
    if (output_errno == EPIPE) {
        signal(SIGPIPE, SIG_DFL);
        raise(SIGPIPE);
    }
    if (output_errno == ENOMEM) {
        fprintf(stderr, "wfctl: no memory for the output\n");
        return out_exit_status(WF_NO_MEMORY);
    }
    fprintf(stderr, "wfctl: cannot write the output: %s\n", strerror(output_errno));
    return EXIT_OUTPUT;
}

int main(int argc, char **argv) {
    occupy_standard_files();
    setlocale(LC_CTYPE, "");
    /* Output that cannot be written is an error to report, not the end: the store is to be closed.
     */
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    struct cli cli = {0};
    out_init(&cli.out);
    enum wf_status status = cli_parse(&cli, argc, argv);
    if (status == WF_OK)
        status = run(&cli);
    report(&cli, status);
    return finish(&cli, status);
}
