// Threads that stand deep in inlined templates, virtual functions, lambdas, exceptions and sorting, of the standard library too. It prints
// "ready PID".
#include <algorithm>
#include <atomic>
#include <cstdio>
#include <functional>
#include <map>
#include <numeric>
#include <stdexcept>
#include <string>
#include <thread>
#include <unistd.h>
#include <vector>

static std::atomic<int> waiting{0};
static volatile bool over = false; // never

[[gnu::noinline]] static int end() {
	waiting++;
	while (!over) pause();
	return 0;
}

struct Base {
	virtual ~Base() = default;
	virtual int visit(int n) const = 0;
};

template <class F> struct Twice : Base {
	F f;
	explicit Twice(F f) : f(f) {}
	int visit(int n) const override { return n == 0 ? f(n) : visit(n - 1) + f(n); }
};

template <class F> [[gnu::noinline]] int deep(int n, const F &f) {
	std::vector<int> x(n + 1, n);
	return n == 0 ? f() : deep(n - 1, f) + std::accumulate(x.begin(), x.end(), 0);
}

[[gnu::noinline]] static int sorted() {
	std::vector<int> list(100);
	std::iota(list.rbegin(), list.rend(), 0);
	std::sort(list.begin(), list.end(), [](int a, int b) {
		if (a == 50 || b == 50) end();
		return a < b;
	});
	return list[0];
}

struct Ended {
	~Ended() { end(); }
};

[[gnu::noinline]] static int thrown(int n) {
	Ended ended;
	if (n > 0) throw std::runtime_error("on the way " + std::to_string(n)); // end is called while the stack is unwound
	return n;
}

int main() {
	std::vector<std::thread> threads;
	threads.emplace_back([] { deep(20, end); });
	threads.emplace_back(sorted);
	threads.emplace_back([] {
		auto f = [](int n) { return n == 0 ? std::function<int()>(end)() : n; };
		Twice<decltype(f)> t(f);
		static_cast<Base &>(t).visit(9);
	});
	threads.emplace_back([] {
		try {
			thrown(1);
		} catch (const std::exception &e) {
			puts(e.what());
		}
	});
	threads.emplace_back([] {
		std::map<std::string, std::function<int()>> calls{{"a", [] { return 1; }}, {"b", end}};
		std::accumulate(calls.begin(), calls.end(), 0, [](int sum, auto &c) { return sum + c.second(); });
	});
	while (waiting < (int)threads.size()) usleep(1000);
	usleep(100000);
	printf("ready %d\n", getpid());
	fflush(stdout);
	deep(5, end);
}
