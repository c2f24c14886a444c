// One of many small shared objects; gen.sh puts a number in the place of NNN, which makes each build id distinct.
int function_NNN(int a) { return a + 1; }
const char string_NNN[] = "NNN";
int variable_NNN = 4;
