"""The interpreter of the scripts of a part (``shape.Op``), as functions of its core module."""

INTERPRETER = r"""
;; Subtasks by handle, 16 bytes each: state (0 unknown, 1 open, 2 over, 3 dropped), owner, set it is
;; in, whether cancellation was asked for.
(global $subtasks i32 (i32.const 4096))
(global $next-tag (mut i32) (i32.const 0))
(global $shared (mut i32) (i32.const 0))
(global $shared-open (mut i32) (i32.const 0))
(global $held (mut i32) (i32.const 0))

(func $say (param $said i32) (param $t i32) (param $a i32) (param $b i32) (param $c i32)
  (call $j (i32.or (local.get $said) (i32.shl (global.get $part) (i32.const 8)))
    (i32.load (local.get $t)) (local.get $a) (local.get $b) (local.get $c)))

(func $sub (param $handle i32) (result i32)
  (if (i32.gt_u (local.get $handle) (i32.const 1000)) (then unreachable))
  (i32.add (global.get $subtasks) (i32.shl (local.get $handle) (i32.const 4))))

(func $enter (param $tag i32) (param $script i32) (param $func i32) (param $kind i32) (result i32)
  (local $t i32)
  (local.set $t (call $realloc (i32.const 0) (i32.const 0) (i32.const 4) (i32.const 96)))
  (i32.store (local.get $t) (local.get $tag))
  (i32.store offset=4 (local.get $t)
    (i32.load (i32.add (global.get $scripts) (i32.shl (local.get $script) (i32.const 2)))))
  (i32.store offset=28 (local.get $t) (local.get $kind))
  (i32.store offset=32 (local.get $t) (local.get $func))
  ;; a task begins with nothing in its context
  (if (call $get) (then unreachable))
  (call $set (local.get $t))
  (call $say (i32.const 0) (local.get $t) (local.get $func) (i32.const 0) (i32.const 0))
  (local.get $t))

;; whoever was away finds its context as it was
(func $back (param $t i32)
  (if (i32.ne (call $get) (local.get $t)) (then unreachable)))

(func $set-of (param $t i32) (param $which i32) (result i32)
  (if (local.get $which) (then
    (if (i32.eqz (global.get $shared)) (then (global.set $shared (call $new))))
    (return (global.get $shared))))
  (if (i32.eqz (i32.load offset=8 (local.get $t)))
    (then (i32.store offset=8 (local.get $t) (call $new))))
  (i32.load offset=8 (local.get $t)))

(func $open-in (param $t i32) (param $which i32) (result i32)
  (if (local.get $which) (then (return (global.get $shared-open))))
  (i32.load offset=12 (local.get $t)))

;; one more, or one less, is outstanding in the set that a subtask is in
(func $count (param $s i32) (param $by i32)
  (local $owner i32)
  (if (i32.ne (i32.load (local.get $s)) (i32.const 1)) (then (return)))
  (local.set $owner (i32.load offset=4 (local.get $s)))
  (if (i32.eqz (i32.load offset=8 (local.get $s))) (then
    (i32.store offset=12 (local.get $owner)
      (i32.add (i32.load offset=12 (local.get $owner)) (local.get $by)))))
  (if (i32.eq (i32.load offset=8 (local.get $s)) (i32.const 1)) (then
    (global.set $shared-open (i32.add (global.get $shared-open) (local.get $by))))))

(func $put-in (param $handle i32) (param $which i32)
  (local $s i32)
  (local.set $s (call $sub (local.get $handle)))
  (call $count (local.get $s) (i32.const -1))
  (i32.store offset=8 (local.get $s) (local.get $which))
  (call $count (local.get $s) (i32.const 1))
  (if (i32.eq (local.get $which) (i32.const 2))
    (then (call $join (local.get $handle) (i32.const 0)))
    (else (call $join (local.get $handle)
      (call $set-of (i32.load offset=4 (local.get $s)) (local.get $which))))))

(func $over (param $handle i32)
  (local $s i32)
  (local.set $s (call $sub (local.get $handle)))
  (call $count (local.get $s) (i32.const -1))
  (i32.store (local.get $s) (i32.const 2)))

(func $answer (param $t i32) (param $value i32)
  (i32.store offset=16 (local.get $t) (i32.const 1))
  (i32.store offset=20 (local.get $t) (local.get $value))
  (if (i32.lt_u (i32.load offset=28 (local.get $t)) (i32.const 2)) (then
    (call $do-return (i32.load offset=32 (local.get $t)) (local.get $value))
    (call $say (i32.const 5) (local.get $t) (local.get $value) (i32.const 0) (i32.const 0)))))

(func $event (param $t i32) (param $code i32) (param $handle i32) (param $payload i32)
    (param $said i32)
  (call $back (local.get $t))
  (call $say (local.get $said) (local.get $t)
    (local.get $code) (local.get $handle) (local.get $payload))
  (if (i32.and (i32.eq (local.get $code) (i32.const 1))
        (i32.ge_u (local.get $payload) (i32.const 2)))
    (then (call $over (local.get $handle))))
  (if (i32.eq (local.get $code) (i32.const 6)) (then (call $cancelled (local.get $t)))))

(func $cancelled (param $t i32)
  (local $how i32)
  (local.set $how (i32.load offset=24 (local.get $t)))
  (if (i32.eq (i32.and (local.get $how) (i32.const 255)) (i32.const 2))
    (then (i32.store offset=24 (local.get $t) (i32.const 258)) (return)))
  (if (local.get $how)
    (then (call $answer (local.get $t) (i32.shr_u (local.get $how) (i32.const 16))))
    (else
      (i32.store offset=16 (local.get $t) (i32.const 1))
      (call $task-cancel)
      (call $say (i32.const 7) (local.get $t) (i32.const 0) (i32.const 0) (i32.const 0))))
  (i32.store offset=4 (local.get $t) (i32.const 64)))  ;; operations of zeros: the end

(func $call-next (param $t i32) (param $a i32) (param $args i32) (param $script i32)
  (local $func i32) (local $sync i32) (local $tag i32) (local $status i32) (local $handle i32)
  (local $slots i32)
  (local.set $func (i32.and (local.get $a) (i32.const 255)))
  (local.set $sync (i32.and (i32.shr_u (local.get $a) (i32.const 8)) (i32.const 1)))
  ;; what is not async itself may not wait
  (if (i32.and (local.get $sync) (i32.and (i32.ne (local.get $func) (i32.const 0))
        (i32.eq (i32.load offset=28 (local.get $t)) (i32.const 3)))) (then (return)))
  (global.set $next-tag (i32.add (global.get $next-tag) (i32.const 1)))
  (local.set $tag (i32.or (global.get $next-tag)
    (i32.shl (i32.add (global.get $part) (i32.const 1)) (i32.const 16))))
  (call $say (i32.const 1) (local.get $t) (local.get $tag)
    (i32.or (i32.and (local.get $a) (i32.const 511)) (i32.shl (local.get $args) (i32.const 16)))
    (local.get $script))
  (local.set $status (call $do-call (local.get $func) (local.get $tag) (local.get $script)
    (local.get $args) (local.get $sync)))
  (call $back (local.get $t))
  (call $say (i32.const 2) (local.get $t) (local.get $tag)
    (i32.and (local.get $a) (i32.const 511)) (local.get $status))
  (local.set $handle (i32.shr_u (local.get $status) (i32.const 4)))
  (if (i32.eqz (local.get $handle)) (then (return)))
  (local.set $status (call $sub (local.get $handle)))
  (i32.store (local.get $status) (i32.const 1))
  (i32.store offset=4 (local.get $status) (local.get $t))
  (i32.store offset=8 (local.get $status) (i32.const 2))
  (i32.store offset=12 (local.get $status) (i32.const 0))
  (call $put-in (local.get $handle) (i32.shr_u (local.get $a) (i32.const 16)))
  (local.set $slots (i32.load offset=36 (local.get $t)))
  (if (i32.lt_u (local.get $slots) (i32.const 12)) (then
    (i32.store offset=40 (i32.add (local.get $t) (i32.shl (local.get $slots) (i32.const 2)))
      (local.get $handle))
    (i32.store offset=36 (local.get $t) (i32.add (local.get $slots) (i32.const 1))))))

;; the handle in a slot, 0 if there is none, or it is not in that state
(func $slot (param $t i32) (param $k i32) (param $state i32) (result i32)
  (local $handle i32)
  (if (i32.ge_u (local.get $k) (i32.const 128)) (then  ;; counted from the last one
    (local.set $k (i32.sub (i32.load offset=36 (local.get $t))
      (i32.sub (local.get $k) (i32.const 127))))))
  (if (i32.ge_u (local.get $k) (i32.load offset=36 (local.get $t))) (then (return (i32.const 0))))
  (local.set $handle (i32.load offset=40
    (i32.add (local.get $t) (i32.shl (local.get $k) (i32.const 2)))))
  (if (i32.ne (i32.load (call $sub (local.get $handle))) (local.get $state))
    (then (return (i32.const 0))))
  ;; another task of the same handle?
  (if (i32.ne (i32.load offset=4 (call $sub (local.get $handle))) (local.get $t))
    (then (return (i32.const 0))))
  (local.get $handle))

(func $cancel-slot (param $t i32) (param $k i32) (param $sync i32)
  (local $handle i32) (local $s i32) (local $state i32) (local $set i32)
  (local.set $handle (call $slot (local.get $t) (local.get $k) (i32.const 1)))
  (if (i32.eqz (local.get $handle)) (then (return)))
  (local.set $s (call $sub (local.get $handle)))
  (if (i32.load offset=12 (local.get $s)) (then (return)))
  (i32.store offset=12 (local.get $s) (i32.const 1))
  (if (i32.eq (i32.load offset=28 (local.get $t)) (i32.const 3))
    (then (local.set $sync (i32.const 0))))
  ;; it must not be in a set where this is sync; some hosts want that of both
  (local.set $set (i32.load offset=8 (local.get $s)))
  (call $put-in (local.get $handle) (i32.const 2))
  (if (local.get $sync)
    (then (local.set $state (call $cancel-sync (local.get $handle))))
    (else (local.set $state (call $cancel (local.get $handle)))))
  (call $back (local.get $t))
  (call $say (i32.const 4) (local.get $t) (local.get $handle) (local.get $state) (i32.const 0))
  (if (i32.eq (local.get $state) (i32.const -1))
    (then (call $put-in (local.get $handle) (local.get $set)))
    (else (call $over (local.get $handle)))))

(func $waited (param $t i32) (param $code i32) (param $said i32)
  (call $event (local.get $t) (local.get $code)
    (i32.load (i32.const 1024)) (i32.load (i32.const 1028)) (local.get $said)))

(func $step (param $t i32) (result i32)
  (local $at i32) (local $op i32) (local $a i32) (local $b i32) (local $kind i32) (local $h i32)
  (local.set $kind (i32.load offset=28 (local.get $t)))
  (loop $next
    (local.set $at (i32.load offset=4 (local.get $t)))
    (i32.store offset=4 (local.get $t) (i32.add (local.get $at) (i32.const 16)))
    (local.set $op (i32.load (local.get $at)))
    (local.set $a (i32.load offset=4 (local.get $at)))
    (local.set $b (i32.load offset=8 (local.get $at)))
    (if (i32.eqz (local.get $op)) (then
      (if (i32.eqz (i32.load offset=16 (local.get $t)))
        (then (call $answer (local.get $t) (i32.const 0))))
      (if (i32.lt_u (local.get $kind) (i32.const 2))
        (then (call $say (i32.const 8) (local.get $t)
          (i32.const 0) (i32.const 0) (i32.const 0)))
        (else (call $say (i32.const 6) (local.get $t)
          (i32.load offset=20 (local.get $t)) (i32.const 0) (i32.const 0))))
      (return (i32.const 0))))
    (if (i32.eq (local.get $op) (i32.const 1)) (then
      (call $call-next (local.get $t) (local.get $a) (local.get $b)
        (i32.load offset=12 (local.get $at)))
      (br $next)))
    ;; to wait, for one or for all
    (if (i32.or (i32.eq (local.get $op) (i32.const 2)) (i32.eq (local.get $op) (i32.const 3)))
      (then
        (if (i32.or (i32.le_s (call $open-in (local.get $t) (local.get $a)) (i32.const 0))
              (i32.eq (local.get $kind) (i32.const 3)))
          (then (br $next)))
        (if (i32.eq (local.get $op) (i32.const 3))
          (then (i32.store offset=4 (local.get $t) (local.get $at))))
        (local.set $a (call $set-of (local.get $t) (local.get $a)))
        (if (i32.eqz (local.get $kind))
          (then (return (i32.or (i32.const 2) (i32.shl (local.get $a) (i32.const 4))))))
        (call $waited (local.get $t) (call $wait (local.get $a) (i32.const 1024))
          (i32.const 3))
        (br $next)))
    (if (i32.eq (local.get $op) (i32.const 4)) (then
      (if (i32.eqz (local.get $kind)) (then (return (i32.const 1))))
      (if (i32.lt_u (local.get $kind) (i32.const 3)) (then
        (drop (call $yield))
        (call $back (local.get $t))))
      (br $next)))
    (if (i32.eq (local.get $op) (i32.const 5)) (then
      (call $waited (local.get $t)
        (call $poll (call $set-of (local.get $t) (local.get $a)) (i32.const 1024)) (i32.const 9))
      (br $next)))
    (if (i32.eq (local.get $op) (i32.const 6)) (then
      (call $cancel-slot (local.get $t) (local.get $a) (local.get $b))
      (br $next)))
    (if (i32.eq (local.get $op) (i32.const 7)) (then
      (local.set $h (call $slot (local.get $t) (local.get $a) (i32.const 2)))
      (if (local.get $h) (then
        (i32.store (call $sub (local.get $h)) (i32.const 3))
        (call $drop (local.get $h))))
      (br $next)))
    (if (i32.eq (local.get $op) (i32.const 8)) (then
      (if (i32.eqz (i32.load offset=16 (local.get $t)))
        (then (call $answer (local.get $t) (local.get $a))))
      (br $next)))
    ;; waits for nothing but to be cancelled
    (if (i32.eq (local.get $op) (i32.const 9)) (then
      (if (i32.or (local.get $kind) (i32.or (i32.load offset=16 (local.get $t))
            (i32.ge_u (i32.and (i32.load offset=24 (local.get $t)) (i32.const 65535))
              (i32.const 256))))
        (then (br $next)))
      (i32.store offset=4 (local.get $t) (local.get $at))
      (return (i32.or (i32.const 2)
        (i32.shl (call $set-of (local.get $t) (i32.const 0)) (i32.const 4))))))
    (if (i32.eq (local.get $op) (i32.const 10)) (then
      (global.set $held (i32.add (global.get $held) (i32.const 1)))
      (call $inc)
      (br $next)))
    (if (i32.eq (local.get $op) (i32.const 11)) (then
      (if (global.get $held) (then
        (global.set $held (i32.sub (global.get $held) (i32.const 1)))
        (call $dec)))
      (br $next)))
    (if (i32.eq (local.get $op) (i32.const 12)) (then
      (i32.store offset=24 (local.get $t)
        (i32.or (local.get $a) (i32.shl (local.get $b) (i32.const 16))))
      (br $next)))
    (if (i32.eq (local.get $op) (i32.const 14)) (then
      (local.set $h (call $slot (local.get $t) (local.get $a) (i32.const 1)))
      (if (local.get $h) (then (call $put-in (local.get $h) (local.get $b))))
      (br $next)))
    ;; what the host will not have
    (if (i32.eq (local.get $op) (i32.const 15)) (then
      (if (i32.eqz (i32.load offset=16 (local.get $t)))
        (then (call $answer (local.get $t) (local.get $b))))
      (call $do-return (i32.load offset=32 (local.get $t)) (local.get $a))
      (br $next)))
    (if (i32.eq (local.get $op) (i32.const 16)) (then (call $task-cancel) (br $next)))
    (if (i32.eq (local.get $op) (i32.const 17)) (then
      (if (local.get $kind) (then (br $next)))
      (if (i32.eqz (local.get $a)) (then (call $say (i32.const 8) (local.get $t)
        (i32.const 0) (i32.const 0) (i32.const 0))))
      (return (local.get $a)))))
  unreachable)

(func (export "callback") (param $code i32) (param $handle i32) (param $payload i32) (result i32)
  (local $t i32)
  (local.set $t (call $get))
  (if (i32.eqz (local.get $t)) (then unreachable))
  (call $event (local.get $t) (local.get $code) (local.get $handle) (local.get $payload)
    (i32.const 3))
  (call $step (local.get $t)))
"""
