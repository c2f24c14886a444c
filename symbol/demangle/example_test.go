package demangle_test

import (
	"fmt"

	"minidump/symbol/demangle"
)

func ExampleName() {
	fmt.Println(demangle.Name("_ZNSt6vectorIiSaIiEE9push_backEOi"))
	fmt.Println(demangle.Name("_RNCNvCs1234_7mycrate3foo0B3_"))
	fmt.Println(demangle.Name("printf"))
	// Output:
	// std::vector<int, std::allocator<int> >::push_back(int&&)
	// mycrate::foo::{closure#0}
	// printf
}
