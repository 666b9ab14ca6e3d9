// Builds filters by libseccomp from lines on standard input and writes the programs to
// standard output. The test of package seccomp compiles it.
//
//	default RET
//	arch TOKEN             in hexadecimal, the first in place of the native one
//	optimize LEVEL         SCMP_FLTATR_CTL_OPTIMIZE
//	rule RET NAME COUNT [INDEX OP VALUE TWO]...
//	end                    writes the filter: its length in bytes and its program, or
//	                       the negative errno by which libseccomp refused it; 32 bits
//	resolve TOKEN NAME     prints the number instead
//	version                prints libseccomp's instead
//
// RET, VALUE and TWO are in hexadecimal. With an argument the filter is built as many
// times, and the nanoseconds of one are printed.
#define _GNU_SOURCE
#include <seccomp.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static char **lines;
static int count;

static void fail(const char *what, int rc)
{
	fprintf(stderr, "%s: %s\n", what, strerror(-rc));
	exit(3);
}

// Builds the filter of some lines. Only a refused rule is an answer; anything else that
// fails is a mistake of the test.
static int build(char **from, char **to, int out)
{
	scmp_filter_ctx ctx = NULL;
	int native = 1, rc;

	for (; from < to; from++) {
		unsigned ret, token, args;
		int level, at;
		char name[128];

		if (sscanf(*from, "default %x", &ret) == 1) {
			ctx = seccomp_init(ret);
			if (!ctx)
				fail(*from, -EINVAL);
		} else if (sscanf(*from, "arch %x", &token) == 1) {
			if (native && token != seccomp_arch_native()) {
				if ((rc = seccomp_arch_remove(ctx, SCMP_ARCH_NATIVE)) < 0)
					fail("remove", rc);
			}
			native = 0;
			if ((rc = seccomp_arch_add(ctx, token)) < 0 && rc != -EEXIST)
				fail(*from, rc);
		} else if (sscanf(*from, "optimize %d", &level) == 1) {
			if ((rc = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, level)) < 0)
				fail(*from, rc);
		} else if (sscanf(*from, "rule %x %127s %u%n", &ret, name, &args, &at) == 3) {
			struct scmp_arg_cmp cmp[6];
			const char *p = *from + at;
			int nr = seccomp_syscall_resolve_name(name);
			if (nr == __NR_SCMP_ERROR)
				continue;
			for (unsigned a = 0; a < args; a++) {
				unsigned index, op;
				unsigned long long value, two;
				if (sscanf(p, " %u %u %llx %llx%n", &index, &op, &value, &two, &at) != 4)
					fail(*from, -EINVAL);
				p += at;
				cmp[a] = (struct scmp_arg_cmp){ index, op, value, two };
			}
			if ((rc = seccomp_rule_add_array(ctx, ret, nr, args, cmp)) < 0) {
				seccomp_release(ctx);
				return rc;
			}
		} else {
			fail(*from, -EINVAL);
		}
	}
	rc = seccomp_export_bpf(ctx, out);
	seccomp_release(ctx);
	return rc;
}

// Writes the length and the program of the filter of some lines. It is built by another
// process, since libseccomp does not come to an end with some rules: then the answer is
// -ETIME.
static void answer(char **from, char **to)
{
	static char code[1 << 20];
	int file = memfd_create("filter", 0), status;
	int32_t size = 0;
	pid_t child = fork();

	if (child == 0) {
		alarm(10);
		_exit(-build(from, to, file));
	}
	if (child < 0 || waitpid(child, &status, 0) != child)
		fail("fork", -errno);
	if (WIFSIGNALED(status))
		size = -ETIME;
	else if (WEXITSTATUS(status))
		size = -WEXITSTATUS(status);
	else
		size = pread(file, code, sizeof code, 0);
	close(file);
	fwrite(&size, sizeof size, 1, stdout);
	if (size > 0)
		fwrite(code, size, 1, stdout);
}

int main(int argc, char **argv)
{
	char *line = NULL, name[128];
	size_t size = 0, room = 0;
	unsigned token;

	while (getline(&line, &size, stdin) > 0) {
		if (sscanf(line, "resolve %x %127s", &token, name) == 2) {
			printf("%d\n", seccomp_syscall_resolve_name_arch(token, name));
		} else if (!strcmp(line, "version\n")) {
			const struct scmp_version *v = seccomp_version();
			printf("%u.%u.%u\n", v->major, v->minor, v->micro);
		} else if (!strcmp(line, "end\n") && argc == 1) {
			answer(lines, lines + count);
			while (count > 0)
				free(lines[--count]);
		} else if (strcmp(line, "end\n")) {
			if (count == (int)room && !(lines = realloc(lines, (room = 2 * room + 64) * sizeof *lines)))
				fail("realloc", -ENOMEM);
			lines[count++] = strdup(line);
		}
	}
	if (argc > 1) {
		struct timespec from, to;
		int times = atoi(argv[1]), file = memfd_create("filter", 0), rc;
		clock_gettime(CLOCK_MONOTONIC, &from);
		for (int i = 0; i < times; i++)
			if ((rc = build(lines, lines + count, file)) < 0)
				fail("build", rc);
		clock_gettime(CLOCK_MONOTONIC, &to);
		printf("%.0f\n", ((to.tv_sec - from.tv_sec) * 1e9 + (to.tv_nsec - from.tv_nsec)) / times);
	}
	return 0;
}
