var file: map<handle, str>;
report var bytes: map<str, sum>;
wasi:filesystem/types#descriptor.open-at:after / result is ok / { file[handle(result.ok)] = path; }
wasi:filesystem/types#descriptor.*via-stream:after / result is ok / { file[handle(result.ok)] = file[self]; }
wasi:io/streams#output-stream.*write*:before / self in file / { bytes[file[self]] = sum(len(contents)); }
wasi:io/streams#input-stream.*read:after / self in file / { bytes[file[self]] = sum(len(result.ok)); }
