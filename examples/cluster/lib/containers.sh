containers() { fail "not yet"; }
