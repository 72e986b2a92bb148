"""Pages in a real browser.  (A package, so that one browser serves all of these tests and is gone
after them: while Playwright is there, nobody else in this process can run an event loop.)"""
