#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void told(const char *what, int failed) {
    if (failed) printf("%s: %s\n", what, strerror(errno));
    else printf("%s: ok\n", what);
}

int main(void) {
    struct stat about;
    FILE *file;
    DIR *folder;
    printf("environment: %s\n", getenv("PEER") ? "true" : "false");
    file = fopen("/data/note.txt", "w");
    told("open", !file);
    if (file) told("write", fputs("note\n", file) < 0 | fclose(file) != 0);
    file = fopen("/data/note.txt", "r");
    told("open again", !file);
    if (file) { char text[8]; told("read", fread(text, 1, 4, file) != 4); fclose(file); }
    told("mkdir", mkdir("/data/folder", 0700));
    told("stat", stat("/data/note.txt", &about));
    folder = opendir("/data");
    told("opendir", !folder);
    if (folder) { errno = 0; while (readdir(folder)) {} told("readdir", errno != 0); closedir(folder); }
    told("link", symlink("note.txt", "/data/link"));
    told("rename", rename("/data/note.txt", "/data/other.txt"));
    told("unlink", unlink("/data/other.txt"));
    told("rmdir", rmdir("/data/folder"));
    return 0;
}
