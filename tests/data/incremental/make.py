#!/usr/bin/env python3
"""Makes the sets beside this file from real backups: make.py DIRECTORY, which holds NAME.tar.zst (NAME/full, NAME/incr1,
...) and NAME.oracle (X.sha256, X.combined.backup_label, X.queries.tsv) of pg_combinebackup. README.md says what they are."""
import hashlib, io, os, re, shutil, subprocess, sys, tarfile, tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
# Of the tar set only this much is kept, to keep it small.
KEPT = re.compile(r'(backup_label|tablespace_map|PG_VERSION|global(/.*)?|base|base/5(/PG_VERSION|/(INCREMENTAL\.)?(1259|1249|2608)(_'
                  r'\w+)?)?|pg_wal(/.*)?|pg_tblspc|pg_xact(/.*)?|PG_17_\d+|PG_17_\d+/5(/.*)?|[0-9A-F]{24}|archive_status/.*)')

# Where the making machine kept its clusters, in postgresql.conf and tablespace_map: it becomes a place of the same length.
PLACE = re.compile(rb'(?:/\w+)+(?=/(?:chain3/s|tst/ts1)\b)')
NAMED = ('postgresql.conf', 'tablespace_map')


def without_place(data): return PLACE.sub(lambda match: b'/srv/' + b'x' * (len(match[0]) - 5), data)


def crc32c(data):
    """As a backup manifest writes it: the bytes as they lie in memory."""
    table = []
    for byte in range(256):
        for _ in range(8): byte = byte >> 1 ^ 0x82F63B78 * (byte & 1)
        table.append(byte)
    crc = 0xFFFFFFFF
    for byte in data: crc = crc >> 8 ^ table[(crc ^ byte) & 0xFF]
    return (crc ^ 0xFFFFFFFF).to_bytes(4, 'little').hex()


def rewrite(path, change):
    with open(path, 'rb') as file: old = file.read()
    new = change(old)
    if new != old:
        with open(path, 'wb') as file: file.write(new)
    return old, new


def forget_place(place, name):
    """In plain backups, with their manifests and what the oracle says of them."""
    for folder, _, files in os.walk(f'{place}/{name}'):
        for file in files:
            if file not in NAMED: continue
            old, new = rewrite(f'{folder}/{file}', without_place)
            if old != new: replace_sums(place, name, folder, old, new)


def replace_sums(place, name, folder, old, new):
    for file in os.listdir(f'{place}/{name}.oracle'):
        sums = [hashlib.sha256(data).hexdigest().encode() for data in (old, new)]
        rewrite(f'{place}/{name}.oracle/{file}', lambda text: text.replace(*sums))
    manifest = f'{folder}/backup_manifest'
    if not os.path.exists(manifest): return
    def resum(text):
        head = text.replace(crc32c(old).encode(), crc32c(new).encode()).split(b'"Manifest-Checksum"')[0]
        return head + b'"Manifest-Checksum": "' + hashlib.sha256(head).hexdigest().encode() + b'"}\n'
    rewrite(manifest, resum)


def unpacked(source, name, place):
    subprocess.run(['tar', '--zstd', '-xf', f'{source}/{name}.tar.zst', '-C', place], check=True)
    shutil.copytree(f'{source}/{name}.oracle', f'{place}/{name}.oracle')


def packed(name, place):
    """The same bytes from the same input: what make.py wrote before can be compared."""
    archive = subprocess.run(['tar', '--sort=name', '--owner=0', '--group=0', '--numeric-owner', '-C', place, '-cf', '-',
                              name, f'{name}.oracle'], check=True, capture_output=True).stdout
    subprocess.run(['zstd', '-q', '-f', '-19', '--long=27', '-o', f'{HERE}/{name}.tar.zst'], input=archive, check=True)


def thin_tar(place, name, path):
    with open(path, 'rb') as file: old = tarfile.open(fileobj=io.BytesIO(file.read()))
    new = io.BytesIO()
    with tarfile.open(fileobj=new, mode='w', format=tarfile.USTAR_FORMAT) as tar:
        for member in old:
            if not KEPT.fullmatch(member.name): continue
            data = old.extractfile(member).read() if member.isfile() else b''
            if member.name in NAMED:
                before, data = data, without_place(data)
                replace_sums(place, name, os.path.dirname(path), before, data)
            tar.addfile(member, io.BytesIO(data))
    with open(path, 'wb') as file: file.write(new.getvalue())


def thin(place, name):
    for backup in sorted(os.listdir(f'{place}/{name}')):
        folder = f'{place}/{name}/{backup}'
        os.remove(f'{folder}/backup_manifest')  # it would list what is not kept
        for file in sorted(os.listdir(folder)):
            if file.endswith('.zst'): subprocess.run(['zstd', '-dq', '--rm', f'{folder}/{file}'], check=True)
        for file in sorted(os.listdir(folder)): thin_tar(place, name, f'{folder}/{file}')
    for file in os.listdir(f'{place}/{name}.oracle'):
        if not file.endswith('.sha256'): continue
        with open(f'{place}/{name}.oracle/{file}') as listing: lines = listing.readlines()
        kept = []
        for line in lines:
            path = line.rstrip('\n').split(' ', 3)[3].split(' -> ')[0]
            inside = re.sub(r'^pg_tblspc/16384/', '', path)
            if KEPT.fullmatch(inside): kept.append(line)
        with open(f'{place}/{name}.oracle/{file}', 'w') as listing: listing.writelines(kept)


for name in ('chain3', 'tablespace_tar'):
    with tempfile.TemporaryDirectory() as place:
        unpacked(sys.argv[1], name, place)
        subprocess.run(['chmod', '-R', 'u+rwX', place], check=True)
        if name == 'tablespace_tar': thin(place, name)
        forget_place(place, name)
        packed(name, place)
