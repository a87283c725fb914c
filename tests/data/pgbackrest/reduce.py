#!/usr/bin/env python3
"""Makes the repositories of this directory out of whole ones that pgBackRest has written.
usage: reduce.py SETS: a directory of NAME.tar.zst (NAME/repo), NAME.oracle/LABEL.sha256 (what pgBackRest restored) and
sets.json (passphrases). Writes NAME.tar.zst and NAME.LABEL.sha256 beside itself.
Of each backup the tables of the users and some of every other kind of file stay; the other files leave backup.manifest
(which is sealed anew), their stored files go, and their places in bundles become zeros, so that what stays is where it
was. Needs tar, zstd and openssl."""
import glob, hashlib, json, os, re, shutil, subprocess, sys, tempfile

KEPT_NAMES = {'PG_VERSION', 'backup_label', 'tablespace_map', 'pg_control', 'pg_filenode.map', 'postgresql.conf', 'pg_ident.conf',
              'postgresql.auto.conf', '0000', '1247', '1247_fsm', '1259', '1259_vm', '2619', '13394', '16384', '16437'}
LEFT_OUT = {('plain_gz', 'postgresql.conf'), ('tablespace_none', 'tablespace_map')}  # they name the making machine's directories
GENERATED = {'global/pg_control', 'postgresql.auto.conf', 'recovery.signal', 'tablespace_map'}
BUDGET = 150_000  # stored bytes of the files of a backup, without:
ALWAYS = {('bundle_block_zst', 'pg_data/base/5/16384')}  # its blocks lie in four backups
HERE = os.path.dirname(os.path.abspath(__file__))


def cipher(data, passphrase, decrypt):
    if not passphrase: return data
    return subprocess.run(['openssl', 'enc', '-aes-256-cbc', '-md', 'sha1', '-pass', 'pass:' + passphrase] + (['-d'] if decrypt else []),
                          input=data, capture_output=True, check=True).stdout


def split(line):
    at = line.index('=')
    while True:
        try:
            json.loads(line[at + 1:])
            return line[:at], line[at + 1:]
        except ValueError:
            at = line.index('=', at + 1)


def parse(text):
    section, out = None, []
    for line in text.split('\n'):
        if line.startswith('[') and line.endswith(']'): section = line[1:-1]
        elif line: out.append((section,) + split(line))
    return [entry for entry in out if entry[1] != 'backrest-checksum']


def seal(entries):
    text, hashed, last = '', '', None
    for section, key, value in entries:
        if section != last:
            text += ('\n' if last else '') + '[%s]\n' % section
            hashed += ('},' if last else '{') + '"%s":{' % section
        else: hashed += ','
        text += '%s=%s\n' % (key, value)
        hashed += json.dumps(key, ensure_ascii=False) + ':' + value
        last = section
    digest = hashlib.sha1((hashed + '}}').encode()).hexdigest()
    return text + '\n[backrest]\nbackrest-checksum="%s"\n' % digest


def stored_path(label, name, file, suffix):
    holder = file.get('reference', label)
    if 'bni' in file: return '%s/bundle/%d' % (holder, file['bni'])
    return '%s/%s%s' % (holder, name, '.pgbi' if 'bim' in file else suffix)


def is_kept(name, file, spent, left_out):
    base = name.rsplit('/', 1)[1]
    if base in left_out: return False
    if base in ('pg_control', 'PG_VERSION', 'backup_label', 'tablespace_map'): return True
    if spent + file.get('repo-size', file['size']) > BUDGET: return False
    oid = re.match(r'\d+', base)
    return base in KEPT_NAMES or 'pg_tblspc' in name or (oid is not None and int(oid.group()) >= 16384) or 'checksum' not in file


def reduce_set(sets, name, passphrase):
    work = tempfile.mkdtemp()
    subprocess.run(['tar', '--zstd', '-xf', '%s/%s.tar.zst' % (sets, name), '-C', work], check=True)
    repo = os.path.join(work, name, 'repo')
    backups = os.path.join(repo, 'backup', 'main')
    info = cipher(open(backups + '/backup.info', 'rb').read(), passphrase, True).decode()
    manifest_pass = dict((k, json.loads(v)) for s, k, v in parse(info) if s == 'cipher').get('cipher-pass', '')
    labels = sorted(e for e in os.listdir(backups) if re.match(r'\d{8}-', e))
    ranges, wal, decided = {}, set(), {}  # a file stays in all backups or in none: later ones use blocks of earlier ones
    for label in labels:
        path = '%s/%s/backup.manifest' % (backups, label)
        entries = parse(cipher(open(path, 'rb').read(), manifest_pass, True).decode())
        option = dict((k, json.loads(v)) for s, k, v in entries if s == 'backup:option')
        facts = dict((k, json.loads(v)) for s, k, v in entries if s == 'backup')
        wal |= {facts.get('backup-archive-start'), facts.get('backup-archive-stop')}
        suffix = '' if option['option-compress-type'] == 'none' else '.' + option['option-compress-type']
        place = json.loads(dict((k, v) for s, k, v in entries if s == 'backup:target')['pg_data'])['path']
        kept, spent, out = set(), 0, []
        for section, key, value in entries:
            if section == 'target:file':
                file = json.loads(value)
                always = (name, key) in ALWAYS
                if not decided.setdefault(key, always or is_kept(key, file, spent, {f for n, f in LEFT_OUT if n == name})): continue
                if not always: spent += file.get('repo-size', file['size'])
                kept.add(key)
                stored = stored_path(label, key, file, suffix)
                ranges.setdefault(stored, []).append((file.get('bno', 0), file.get('repo-size', file['size'])) if 'bni' in file else None)
                if 'bim' in file:  # its blocks may be in every backup that it refers to
                    for other in labels: ranges.setdefault('%s/%s.pgbi' % (other, key), []).append(None)
            # Where the cluster was is nobody's business.
            if section in ('backup:target', 'target:link'): value = value.replace(os.path.dirname(place), '/srv')
            out.append((section, key, value))
        text = cipher(seal(out).encode(), manifest_pass, False)
        for copy in ('', '.copy'): open(path + copy, 'wb').write(text)
        lines = []
        for line in open('%s/%s.oracle/%s.sha256' % (sets, name, label), encoding='utf-8', errors='surrogateescape'):
            m = re.match(r'([0-9a-f]{64} +\d+ +\d+ +)(.*)\n', line)
            if not m or m.group(2) in GENERATED: continue
            if ('pg_data/' + m.group(2)) in kept or m.group(2) in kept: lines.append(line)
        open('%s/%s.%s.sha256' % (HERE, name, label), 'w', encoding='utf-8', errors='surrogateescape').writelines(lines)
    # Blocks of a bundled block incremental file may be in bundles of other backups, whose manifests kept the same file.
    for directory, _, names in os.walk(backups):
        for entry in names:
            path = os.path.join(directory, entry)
            relative = os.path.relpath(path, backups)
            if not re.match(r'\d{8}-', relative) or 'backup.manifest' in entry: continue
            used = ranges.get(relative)
            if used is None: os.remove(path)
            elif None not in used:
                data = open(path, 'rb').read()
                fresh = bytearray(len(data))
                for offset, size in used: fresh[offset:offset + size] = data[offset:offset + size]
                open(path, 'wb').write(fresh)
    shutil.rmtree(backups + '/backup.history', ignore_errors=True)
    for directory, _, names in os.walk(repo + '/archive'):
        for entry in names:
            if re.match(r'[0-9A-F]{24}-', entry) and entry[:24] not in wal: os.remove(os.path.join(directory, entry))
    subprocess.run(['tar', '--sort=name', '--owner=0', '--group=0', '--mtime=@0', '-I', 'zstd -19', '-cf', '%s/%s.tar.zst' % (HERE, name),
                    '-C', work, name], check=True)
    shutil.rmtree(work)


sets = sys.argv[1]
passphrases = json.load(open(sets + '/sets.json')).get('passphrases', {})
for archive in sorted(glob.glob(sets + '/*.tar.zst')):
    name = os.path.basename(archive)[:-8]
    reduce_set(sets, name, passphrases.get(name, ''))
    print(name, os.path.getsize('%s/%s.tar.zst' % (HERE, name)))
