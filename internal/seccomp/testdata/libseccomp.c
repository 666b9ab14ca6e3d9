// Builds a filter by libseccomp from lines on standard input and writes the program
// to standard output. The test of package seccomp compiles it.
//
//	default RET
//	arch TOKEN             in hexadecimal, the first in place of the native one
//	optimize LEVEL         SCMP_FLTATR_CTL_OPTIMIZE
//	rule RET NAME COUNT [INDEX OP VALUE TWO]...
//	resolve TOKEN NAME     prints the number instead
//
// RET, VALUE and TWO are in hexadecimal. With an argument the filter is built as many
// times, and the nanoseconds of one are printed.
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <fcntl.h>

static char *lines[65536];
static int count;

static void fail(const char *what, int rc)
{
	fprintf(stderr, "%s: %s\n", what, strerror(-rc));
	exit(3);
}

static void build(int out)
{
	scmp_filter_ctx ctx = NULL;
	int native = 1, rc;

	for (int i = 0; i < count; i++) {
		unsigned ret, token, args;
		int level, at;
		char name[128];

		if (sscanf(lines[i], "default %x", &ret) == 1) {
			ctx = seccomp_init(ret);
			if (!ctx)
				fail(lines[i], -22);
		} else if (sscanf(lines[i], "arch %x", &token) == 1) {
			if (native && token != seccomp_arch_native()) {
				if ((rc = seccomp_arch_remove(ctx, SCMP_ARCH_NATIVE)) < 0)
					fail("remove", rc);
			}
			native = 0;
			if ((rc = seccomp_arch_add(ctx, token)) < 0 && rc != -17)
				fail(lines[i], rc);
		} else if (sscanf(lines[i], "optimize %d", &level) == 1) {
			if ((rc = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, level)) < 0)
				fail(lines[i], rc);
		} else if (sscanf(lines[i], "rule %x %127s %u%n", &ret, name, &args, &at) == 3) {
			struct scmp_arg_cmp cmp[6];
			const char *p = lines[i] + at;
			int nr = seccomp_syscall_resolve_name(name);
			if (nr == __NR_SCMP_ERROR)
				continue;
			for (unsigned a = 0; a < args; a++) {
				unsigned index, op;
				unsigned long long value, two;
				if (sscanf(p, " %u %u %llx %llx%n", &index, &op, &value, &two, &at) != 4)
					fail(lines[i], -22);
				p += at;
				cmp[a] = (struct scmp_arg_cmp){ index, op, value, two };
			}
			if ((rc = seccomp_rule_add_array(ctx, ret, nr, args, cmp)) < 0)
				fail(lines[i], rc);
		} else {
			fail(lines[i], -22);
		}
	}
	if ((rc = seccomp_export_bpf(ctx, out)) < 0)
		fail("export", rc);
	seccomp_release(ctx);
}

int main(int argc, char **argv)
{
	char *line = NULL, name[128];
	size_t size = 0;
	unsigned token;

	while (getline(&line, &size, stdin) > 0) {
		if (sscanf(line, "resolve %x %127s", &token, name) == 2)
			printf("%d\n", seccomp_syscall_resolve_name_arch(token, name));
		else
			lines[count++] = strdup(line);
	}
	if (!count)
		return 0;
	if (argc > 1) {
		struct timespec from, to;
		int times = atoi(argv[1]), null = open("/dev/null", O_WRONLY);
		clock_gettime(CLOCK_MONOTONIC, &from);
		for (int i = 0; i < times; i++)
			build(null);
		clock_gettime(CLOCK_MONOTONIC, &to);
		printf("%.0f\n", ((to.tv_sec - from.tv_sec) * 1e9 + (to.tv_nsec - from.tv_nsec)) / times);
		return 0;
	}
	build(1);
	return 0;
}
