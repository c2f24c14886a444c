void fault(void);
void aborts(void);
void start(const char *kind);
